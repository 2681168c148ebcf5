"""The wheel and an environment with it, made once."""

from pathlib import Path

import pytest

from tests.wheels import Installed, build, copy_sources, install


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", copy_sources(tmp_path_factory.mktemp("sources")))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An environment with the wheel and all that it may need."""
    return install(wheel, tmp_path_factory.mktemp("installed"))
