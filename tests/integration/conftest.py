"""Installs the embedded Triton once for all integration tests: in TRITON_ENV, `.triton` in the repository if unset."""

import os

import pytest

from server.install import ensure_installed
from server.settings import ServerSettings
from tests.integration.stack import ROOT


@pytest.fixture(scope="session", autouse=True)
def _triton_installed() -> None:
    os.environ.setdefault("TRITON_ENV", str(ROOT / ".triton"))
    ensure_installed(ServerSettings())
