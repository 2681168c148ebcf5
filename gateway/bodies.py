"""A request's body as JSON in UTF-8, whatever its headers say it is, as far as that can be read without guessing.

FastAPI reads `application/json` alone and takes all else for a body of the wrong shape. Here JSON without a type,
packed or in another encoding is read, and what cannot be is refused by the name of the header that says so.
"""

import asyncio
import codecs
import json
import re
import zlib
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message

from gateway.errors import BodyTooLongError, MalformedBodyError, UnsupportedMediaTypeError
from gateway.services import services_of

PLAIN = (b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8")
"""What nearly every caller sends, in small letters: there is nothing to do."""
UNSURE = ("text/plain", "application/octet-stream")
"""Types of callers that name the wrong one, or none on purpose; the body shows whether it is JSON."""
RIGHT = "send JSON, with Content-Type: application/json"
CODINGS = ("gzip", "x-gzip", "deflate")
MOST_CODINGS = 2
MOST_GZIP_MEMBERS = 64
"""A file of gzip may be several ones behind each other; tools that pack in parallel write some."""

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)
_SELF_EVIDENT = re.compile(r"ascii|utf-8|utf-8-sig|utf-?(16|32)(-[bl]e)?")
"""Python's reader of JSON tells these apart by themselves (RFC 4627, 3)."""
_SINGLE_BYTE = re.compile(r"iso8859-\d+|cp125\d|koi8-[ru]")


class JsonRoute(APIRoute):
    """A route that reads its body as this module does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handle_readable(request: Request) -> Response:
            if not _is_plain(request.scope["headers"]):
                request = await _as_json(request, services_of(request).settings.max_body_bytes)
            try:
                return await handle(request)
            except HTTPException as error:
                if isinstance(error.__cause__, UnicodeDecodeError) and _is_json(await request.body(), "latin-1"):
                    raise UnsupportedMediaTypeError(
                        "The body is not UTF-8: send it in UTF-8, or name its encoding, as in "
                        "Content-Type: application/json; charset=iso-8859-1."
                    ) from None
                raise

        return handle_readable


def _is_plain(headers: list[tuple[bytes, bytes]]) -> bool:
    typed = False
    for name, value in headers:
        if name == b"content-encoding":
            return False
        if name == b"content-type":
            typed = value.lower() in PLAIN
    return typed


async def _as_json(request: Request, most_bytes: int) -> Request:
    """The same request with a body that is JSON in UTF-8 as far as its headers tell.

    Raises:
        UnsupportedMediaTypeError: it is of another type, packed in another way or in another encoding.
        MalformedBodyError: it is not packed as it says.
        BodyTooLongError: it is longer than `most_bytes` when it is unpacked.
    """
    given = request.headers.get("content-type", "")
    media_type = given.partition(";")[0].strip().lower()
    sure = media_type in ("", "application/json", "text/json") or media_type.endswith("+json")
    if not sure and media_type not in UNSURE:
        raise UnsupportedMediaTypeError(f"Content-Type: {given[:100]} is not read: {RIGHT}.")
    body = in_utf_8(await unpacked_body(request, most_bytes), given)
    if not sure and body and not _is_json(body):
        raise UnsupportedMediaTypeError(f"Content-Type: {given[:100]} is read only if it is JSON: {RIGHT}.")
    return with_body(request, body)


async def unpacked_body(request: Request, most_bytes: int) -> bytes:
    """The body of a request without the codings that its header names.

    Raises:
        UnsupportedMediaTypeError: it is packed in another way.
        MalformedBodyError: it is not packed as it says.
        BodyTooLongError: it is longer than `most_bytes` when it is unpacked.
    """
    codings = _codings(request)
    body = await request.body()
    for coding in reversed(codings):
        body = await asyncio.to_thread(unpacked, body, coding, most_bytes)
    return body


def _codings(request: Request) -> list[str]:
    listed = ",".join(request.headers.getlist("content-encoding")).lower().split(",")
    codings = [coding for name in listed if (coding := name.strip()) not in ("", "identity")]
    if not set(codings) <= set(CODINGS) or len(codings) > MOST_CODINGS:
        raise UnsupportedMediaTypeError(
            f"Content-Encoding: {', '.join(codings)[:100]} is not read: send gzip, deflate or the plain body."
        )
    return codings


def unpacked(body: bytes, coding: str, most_bytes: int) -> bytes:
    """The body without its coding; stops as soon as it is longer than `most_bytes`.

    Raises:
        MalformedBodyError: it is not so coded, or cut off.
        BodyTooLongError: it is longer.
    """
    found = bytearray()
    rest = body
    for _ in range(MOST_GZIP_MEMBERS):
        unpacker = zlib.decompressobj(_window(rest, coding))
        try:
            found += unpacker.decompress(rest, most_bytes + 1 - len(found))
        except zlib.error:
            raise MalformedBodyError(f"The body is not {coding}, as Content-Encoding says.") from None
        if len(found) > most_bytes:
            raise BodyTooLongError(f"The unpacked body is longer than {most_bytes} bytes: send fewer sentences.")
        if not unpacker.eof:
            raise MalformedBodyError(f"The body ends before its {coding} does, which Content-Encoding names.")
        rest = unpacker.unused_data
        if not rest:
            return bytes(found)
    raise MalformedBodyError(f"The body is more than {MOST_GZIP_MEMBERS} pieces of {coding}: pack it as one.")


def _window(body: bytes, coding: str) -> int:
    """zlib's `wbits`. What is called deflate comes with zlib's head (RFC 9110, 8.4.1.2), and from some without."""
    if coding != "deflate":
        return 16 + zlib.MAX_WBITS
    has_head = len(body) > 1 and body[0] & 0x0F == zlib.DEFLATED and int.from_bytes(body[:2]) % 31 == 0
    return zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS


def in_utf_8(body: bytes, content_type: str) -> bytes:
    """The body in UTF-8, or in another form of Unicode, from the encoding that its type names.

    Raises:
        UnsupportedMediaTypeError: it is in another one, or the encoding is not read.
    """
    named = _CHARSET.search(content_type)
    if named is None:
        return body
    charset = named.group(1)
    try:
        codec = codecs.lookup(charset).name
        if _SELF_EVIDENT.fullmatch(codec):
            return body
        if _SINGLE_BYTE.fullmatch(codec):
            return body.decode(codec).encode()
    except UnicodeDecodeError:
        raise UnsupportedMediaTypeError(f"The body is not {charset}, as Content-Type says: send UTF-8.") from None
    except (LookupError, ValueError):
        pass
    raise UnsupportedMediaTypeError(f"Content-Type: charset={charset[:40]} is not read: send UTF-8.")


def _is_json(body: bytes, encoding: str | None = None) -> bool:
    try:
        json.loads(body.decode(encoding) if encoding else body)
    except (ValueError, RecursionError):
        return False
    return True


def with_body(request: Request, body: bytes) -> Request:
    """The same request with another body, of JSON in UTF-8."""
    replaced = (b"content-type", b"content-encoding", b"content-length", b"transfer-encoding")
    headers = [(name, value) for name, value in request.scope["headers"] if name not in replaced]
    headers += [(b"content-type", PLAIN[0]), (b"content-length", str(len(body)).encode())]

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return Request({**request.scope, "headers": headers}, receive)
