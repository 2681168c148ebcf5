"""A real S3 server, and a repository of its own in it for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.config import ModelConfig
from repository.location import S3Location
from repository.s3_store import S3Store
from tests.s3_server import CREDENTIALS, S3Server, environment, s3_server
from tests.version_folders import write_version


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with environment(CREDENTIALS), s3_server(tmp_path_factory.mktemp("s3") / "log") as running:
        yield running


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of its own for each test."""
    return request.node.name.replace("[", "-").replace("]", "")


@pytest.fixture
def location(server: S3Server, name: str) -> S3Location:
    return S3Location.parse(server.repository(name))


@pytest.fixture
def store(location: S3Location) -> S3Store:
    store = S3Store(location, "classifier")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    return store


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    return write_version(tmp_path / "exported", {"cat": "Animal", "oak": "Plant"}, golden=["cat", "oak"])
