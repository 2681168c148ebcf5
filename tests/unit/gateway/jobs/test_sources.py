"""Only what is below an allowed prefix is fetched, whatever an address looks like."""

import pytest

from gateway.errors import InvalidRequestError
from gateway.jobs.sources import allowed_source

ALLOWED = ["s3://bucket/tables/", "s3://host:9000/other"]


@pytest.mark.parametrize(
    "address", ["s3://bucket/tables/a.csv", "s3://bucket/tables/deep/a.csv", "s3://host:9000/other/any.csv"]
)
def test_below_a_prefix(address: str) -> None:
    assert str(allowed_source(address, ALLOWED)) == address


@pytest.mark.parametrize(
    "address",
    [
        "s3://bucket/tables",
        "s3://bucket/tables-2/a.csv",
        "s3://bucket/tables/../secret/a.csv",
        "s3://bucket/other/a.csv",
        "s3://bucket2/tables/a.csv",
        "s3://host:9000/bucket/tables/a.csv",
        "s3://host:9001/other/any.csv",
        "s3://https://host:9000/other/any.csv",
        "s3://key:secret@bucket/tables/a.csv",
        "s3://bucket/tables/a.csv?x=1",
        "S3://bucket/tables/a.csv",
        "http://bucket/tables/a.csv",
        "file:///tables/a.csv",
        "",
        "s3://",
    ],
)
def test_elsewhere(address: str) -> None:
    with pytest.raises(InvalidRequestError):
        allowed_source(address, ALLOWED)


def test_nothing_is_allowed_unless_it_is_said() -> None:
    with pytest.raises(InvalidRequestError, match="JOBS_SOURCES"):
        allowed_source("s3://bucket/tables/a.csv", [])
