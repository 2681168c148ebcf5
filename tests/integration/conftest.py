"""Installs the embedded Triton once for all integration tests: in TRITON_ENV, `.triton` in the repository if unset.

And what the tests of the page share; it is imported when one of them runs, for the others need no browser.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from server.install import ensure_installed
from server.settings import ServerSettings
from tests.integration.stack import ROOT

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

    from tests.integration.web import Web


@pytest.fixture(scope="session", autouse=True)
def _triton_installed() -> None:
    os.environ.setdefault("TRITON_ENV", str(ROOT / ".triton"))
    ensure_installed(ServerSettings())


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A Triton with small models of each kind, and gateways before it."""
    from tests.integration.web import running_web

    with running_web(tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    """Chromium, where it is installed."""
    from tests.browser import chromium as chromium_of
    from tests.integration.web import HOSTS

    with chromium_of(tmp_path_factory.mktemp("profile"), HOSTS) as browser:  # its end quits all of Chromium
        yield browser
