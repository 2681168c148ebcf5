"""How does a result get to its caller? Off the disk, piece by piece, whole or from any byte on."""

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fastapi import Response
from fastapi.responses import StreamingResponse

from gateway.errors import RangeError, UnknownJobError
from gateway.jobs.desk import UNKNOWN, JobDesk

PIECE_BYTES = 2**18
NDJSON = "application/x-ndjson"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Wanted(NamedTuple):
    """Which part a caller asks for."""

    part: str
    """The header `Range`, empty where there is none."""
    tag: str | None
    """`If-Range`: the part is of this result; else all is wanted."""


async def result_response(desk: JobDesk, job: str, owner: str, partial: bool, wanted: Wanted) -> Response:
    """The lines of a result, or the part of them that is wanted.

    Raises:
        UnknownJobError, JobConflictError: there is no such result, or none yet.
        RangeError: there is no such part.
    """
    path, size = await asyncio.to_thread(desk.result, job, owner, partial)
    tag = f'"{job}-{size}"'
    begin, end = _part(wanted, size, tag)
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Content-Length": str(end - begin),
        "Content-Disposition": f'attachment; filename="job-{job[:8]}.jsonl"',
        "X-Content-Type-Options": "nosniff",
    }
    status = 200
    if end - begin < size:
        status, headers["Content-Range"] = 206, f"bytes {begin}-{end - 1}/{size}"
    if not size:
        return Response(b"", 200, headers, NDJSON)
    try:
        stream = await asyncio.to_thread(Path(path).open, "rb")
    except FileNotFoundError:
        raise UnknownJobError(UNKNOWN) from None
    return StreamingResponse(_pieces(stream, begin, end), status, headers, NDJSON)


def _part(wanted: Wanted, size: int, tag: str) -> tuple[int, int]:
    """First byte, and the one behind the last. What cannot be read as one range means all, as RFC 9110, 14.2 has it."""
    found = _RANGE.fullmatch(wanted.part.replace(" ", ""))
    first, last = found.groups() if found else ("", "")
    if not (first or last) or wanted.tag not in (None, tag):
        return 0, size
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < begin:
            return 0, size
    if begin >= size:
        raise RangeError(f"The result has {size} bytes so far: ask for a part of those.")
    return begin, end


async def _pieces(stream: BinaryIO, begin: int, end: int) -> AsyncIterator[bytes]:
    with stream:
        stream.seek(begin)
        left = end - begin
        while left and (piece := await asyncio.to_thread(stream.read, min(left, PIECE_BYTES))):
            left -= len(piece)
            yield piece
