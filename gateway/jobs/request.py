"""What does a request for a job ask for? Its `Content-Type` says what the body is, its query how it is read."""

import json
import re
from collections.abc import AsyncIterator

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from gateway.batch.errors import UsageError
from gateway.batch.formats import Format, format_of
from gateway.errors import InvalidRequestError, MalformedBodyError, UnsupportedMediaTypeError
from gateway.jobs.desk import Asked
from gateway.jobs.schemas import JobOptions, JobSource
from gateway.jobs.sources import allowed_source, source_suffix
from gateway.keys import owner_of
from gateway.services import service_of
from gateway.settings import listed

TABLES = {
    "text/csv": "csv",
    "application/csv": "csv",
    "text/tab-separated-values": "tsv",
    "application/x-ndjson": "jsonl",
    "application/ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
    "application/json-lines": "jsonl",
    "application/jsonlines": "jsonl",
}
UNTYPED = ("", "application/octet-stream", "application/gzip", "application/x-gzip", "text/plain")
"""Types that do not say what kind of table it is; `format` does."""
SOURCE = "application/json"
RIGHT = (
    "send a table as text/csv, text/tab-separated-values or application/x-ndjson, or its address in S3 as "
    "application/json"
)
LONGEST_SOURCE_BODY = 65_536
_UTF_8 = re.compile(r"utf-?8|us-ascii|utf-?16(-?[bl]e)?", re.IGNORECASE)
_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)


async def asked_of(request: Request, options: JobOptions, key: str | None) -> tuple[Asked, AsyncIterator[bytes]]:
    """What is asked for, and the pieces of the table, of which none is read yet.

    Raises:
        UnsupportedMediaTypeError: the body is no table, or is packed or written in another way than is read.
        InvalidRequestError, RequestValidationError, MalformedBodyError: something else is not as it has to be.
    """
    given = request.headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    source, kind = None, None
    if media_type == SOURCE and options.format is None:
        options = await _source_of(request)
        assert isinstance(options, JobSource)
        place = allowed_source(options.source, listed(_settings_sources(request)))
        source, kind = str(place), options.format or _named(source_suffix(place).name)
    else:
        kind = _kind_of(request, media_type, given, options)
    declared = request.headers.get("content-length", "")
    asked = Asked(
        service_of(request, options.model),
        options,
        kind,
        source,
        owner_of(request),
        _checked(key),
        int(declared) if declared.isdecimal() and source is None else 0,
    )
    return asked, request.stream()


def _settings_sources(request: Request) -> str:
    return service_of(request).settings.jobs_sources


def _kind_of(request: Request, media_type: str, given: str, options: JobOptions) -> str:
    kind = options.format or TABLES.get(media_type)
    if kind is None and media_type in UNTYPED:
        raise UnsupportedMediaTypeError(
            "Nothing says which kind of table this is: send it as text/csv or application/x-ndjson, or name its "
            "`format` in the query."
        )
    if kind is None or media_type not in (*TABLES, *UNTYPED):
        raise UnsupportedMediaTypeError(f"Content-Type: {given[:100]} is not read: {RIGHT}.")
    coding = request.headers.get("content-encoding", "").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise UnsupportedMediaTypeError(f"Content-Encoding: {coding[:100]} is not read: send gzip or the plain table.")
    charset = _CHARSET.search(given)
    if charset is not None and not _UTF_8.fullmatch(charset.group(1)):
        raise UnsupportedMediaTypeError(f"Content-Type: charset={charset.group(1)[:40]} is not read: send UTF-8.")
    return kind


async def _source_of(request: Request) -> JobSource:
    """The body of a request that names a table. Raises RequestValidationError, and as `asked_of`."""
    if request.query_params:
        raise InvalidRequestError("With a `source`, options stand in the body beside it: leave the query out.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_SOURCE_BODY:
            raise InvalidRequestError(f"The body is longer than {LONGEST_SOURCE_BODY} bytes: {RIGHT}.")
    try:
        return JobSource.model_validate(json.loads(bytes(body)))
    except ValidationError as error:
        found = [{**each, "loc": ("body", *each["loc"])} for each in error.errors()]
        raise RequestValidationError(found) from None
    except (ValueError, RecursionError):
        raise MalformedBodyError(f"The body is not JSON, as Content-Type says: {RIGHT}.") from None


def _named(name: str) -> str:
    """The kind that a file's name says. Raises InvalidRequestError: it says none, or one that is not taken."""
    from pathlib import Path

    try:
        kind = format_of(Path(name), None, "`format`")
    except UsageError:
        kind = Format.PARQUET
    if kind is Format.PARQUET:
        raise InvalidRequestError("Name a table in CSV, TSV or JSON Lines; give `format` if its name does not say it.")
    return kind.value


def _checked(key: str | None) -> str | None:
    """The key, as it is. Raises InvalidRequestError: nobody can see it."""
    if key is not None and (not key.isprintable() or not key.strip()):
        raise InvalidRequestError("Idempotency-Key has characters that nobody can see: give it others.")
    return key
