"""A version in S3 is fetched, checked against its digests and asked, as one in a folder is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.location import S3Location
from repository.manifest import MODEL_FILE
from repository.s3_store import S3Store
from tests.s3_server import CREDENTIALS, S3Server, environment, s3_server
from tests.unit.gateway.receipts.signing import SENTENCE, new_signing


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with environment(CREDENTIALS), s3_server(tmp_path_factory.mktemp("s3") / "log") as running:
        yield running


def test_a_receipt_is_checked_against_a_bucket(server: S3Server, tmp_path: Path) -> None:
    signing = new_signing(tmp_path)
    receipt, place = signing.receipt(), server.repository("receipts")
    arguments = [receipt, "--sentence", SENTENCE, "--repository", place]
    nothing = signing.verify(*arguments)
    assert nothing.exit_code == 5
    assert "it holds none" in nothing.output
    store = S3Store(S3Location.parse(place), "classifier")
    assert store.publish(signing.store.folder / "1") == 1
    assert signing.verify(*arguments, "--exact").exit_code == 0
    assert store.republish(1) == 2
    store.retract(1)
    done = signing.verify(*arguments)
    assert done.exit_code == 0
    assert "2 has the same content" in done.output
    server.write(f"receipts/classifier/2/{MODEL_FILE}", b"another graph")
    damaged = signing.verify(*arguments)
    assert damaged.exit_code == 5
    assert "version 2 is damaged" in damaged.output
