"""Which tables in S3 may a caller name? Those below a prefix that the gateway's owner allows, and no others.

Whoever may name any address makes the gateway ask where the caller cannot: the cloud's own metadata, a bucket of
somebody else's that this machine's credentials open. So nothing is allowed unless a setting says it, endpoint included.
"""

from collections.abc import Callable
from pathlib import Path

from gateway.errors import InvalidRequestError
from gateway.jobs.record import JobRecord
from gateway.jobs.store import INPUT, JobStore
from gateway.jobs.upload import TableFile
from repository.disk import flush
from repository.location import SCHEME, S3Location

NONE_ALLOWED = "This gateway fetches no tables (JOBS_SOURCES is empty): send the table itself."


def allowed_source(address: str, prefixes: list[str]) -> S3Location:
    """Where a table is that a caller names.

    Raises:
        InvalidRequestError: it is no address in S3, or is below none of the prefixes.
    """
    if not prefixes:
        raise InvalidRequestError(NONE_ALLOWED)
    if not address.startswith(SCHEME):
        raise InvalidRequestError("`source` is an address in S3, such as s3://bucket/tables/april.csv.")
    try:
        found = S3Location.parse(address)
    except ValueError as error:
        raise InvalidRequestError(f"`source`: {error}.") from None
    if not found.prefix or not any(_is_below(found, S3Location.parse(prefix)) for prefix in prefixes):
        raise InvalidRequestError("`source` is below none of the prefixes that this gateway fetches tables from.")
    return found


def _is_below(place: S3Location, prefix: S3Location) -> bool:
    if (place.endpoint, place.bucket) != (prefix.endpoint, prefix.bucket):
        return False
    return not prefix.prefix or place.prefix.startswith(f"{prefix.prefix}/")


class StoppedError(Exception):
    """The job is no longer run."""


def fetch(record: JobRecord, store: JobStore, most_bytes: int, is_over: Callable[[], bool]) -> int | None:
    """Bring a job's table to the disk, whole or not at all, on a thread; returns its rows, if they can be counted.

    Raises:
        StoppedError: `is_over` says that it is of no more use.
        RepositoryError: S3 does not give it.
        BodyTooLongError, JobsFullError: it is too large.
        OSError: the disk is full.
    """
    from repository.bucket import Bucket

    assert record.source is not None
    place = S3Location.parse(record.source)
    folder, _, name = place.prefix.rpartition("/")
    new = store.path(record.id, f"{INPUT}.new")
    table = TableFile(new, store, most_bytes, record.format != "jsonl")
    with new.open("wb") as stream:
        for piece in Bucket(S3Location(place.bucket, folder, place.endpoint)).chunks(name):
            if is_over():
                raise StoppedError
            table.write(stream, piece)
    flush(new)
    new.rename(store.path(record.id, INPUT))
    return table.rows.total()


def source_suffix(place: S3Location) -> Path:
    """Its name, whose ending says what kind of table it is."""
    return Path(place.prefix.rpartition("/")[2])
