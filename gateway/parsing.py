"""HTTP/1.1 off the wire, with all that is not body bounded, letters in a URL read as UTF-8, and offers of another
protocol ignored.
"""

import re
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.refusals import (
    FRAMING,
    HEAD_TOO_LARGE,
    MAX_HEAD_BYTES,
    MAX_HEADERS,
    NO_HTTP,
    NO_HTTP_2,
    NO_PROXY,
    URI_TOO_LONG,
    Refusal,
    RefusedError,
)

FRAMING_BYTES = 65_536
FRAMING_SHARE = 16
"""A body in chunks may have this many bytes around it, and this many for each of its own: a chunk of one byte takes
five. What stands beside the sizes or behind the last chunk is of no use to anybody here."""

NOTHING, HEAD, BODY = range(3)
"""What of a request is being read."""

_EMPTY_LINE = b"\r\n\r\n"
_NOT_ASCII = re.compile(rb"[\x80-\xff]")
_OFFER = (b"upgrade", b"http2-settings")


class ParsingProtocol(HttpToolsProtocol):
    """From bytes to requests; what is none goes to `refuse`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.reading = NOTHING
        self.since = self.loop.time()
        """When what is read at present began, or the rest between two requests."""
        self.url = b""
        self._framing_bytes = self._body_bytes = self._bytes_since_body = 0
        self._in_request_line = True
        self._offered = False

    def refuse(self, refusal: Refusal) -> None:
        """Answer with a refusal, and read no more requests."""
        raise NotImplementedError

    def request_complete(self) -> None:
        """The last byte of a request is read."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Take in bytes of a request."""
        self._framing_bytes += len(data)
        if self.reading != BODY and self._framing_bytes > MAX_HEAD_BYTES:
            self.refuse(URI_TOO_LONG if len(self.url) > MAX_HEAD_BYTES // 2 else HEAD_TOO_LARGE)
            return
        body_bytes = self._body_bytes
        self._take(data)
        if self.reading == BODY:
            self._bytes_since_body = 0 if self._body_bytes != body_bytes else self._bytes_since_body + len(data)
            self._framing_bytes = max(0, self._framing_bytes)
            most = FRAMING_BYTES + FRAMING_SHARE * self._body_bytes
            if self._framing_bytes > most or self._bytes_since_body > FRAMING_BYTES:
                self.refuse(FRAMING)

    def _take(self, data: bytes) -> None:
        """Feed the data, request by request: what of it is a request line is known once all before it is parsed."""
        while data:
            if self._in_request_line:
                data = self._escaped(data)
            end = self._end_of_part(data)
            if not self._feed(data[:end]):
                return
            data = data[end:]

    def _escaped(self, data: bytes) -> bytes:
        """The data with all in the request line escaped that is not ASCII: curl sends letters as they are typed."""
        line, newline, rest = data.partition(b"\n")
        # Empty lines may stand before a request (RFC 9112, 2.2).
        self._in_request_line = not newline or (self.reading == NOTHING and line in (b"", b"\r"))
        if line.isascii():
            return data
        return _NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line) + newline + rest

    def _end_of_part(self, data: bytes) -> int:
        """How much of the data can be fed before another request may begin in it."""
        if self._in_request_line and self.reading == NOTHING:
            return data.find(b"\n") + 1 or len(data)
        if self.reading == BODY and (left := self._left_of_body()) > 0:
            return left
        # Heads, and bodies in chunks, end with an empty line, whose first bytes may have come before.
        if (newline := data.find(b"\n", 0, 3)) >= 0:
            return newline + 1
        empty = data.find(_EMPTY_LINE)
        return len(data) if empty < 0 else empty + len(_EMPTY_LINE)

    def _left_of_body(self) -> int:
        """Bytes of a body that has a declared length, and has not come yet."""
        declared = next((value for name, value in self.headers if name == b"content-length"), b"0")
        return int(declared) - self._body_bytes

    def _feed(self, data: bytes) -> bool:
        """Parse; False if it was refused."""
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                # The parser takes what follows for another protocol, the body included. A fresh one gets the head
                # without the offer, as if it had not been made (RFC 9110, 7.8).
                rest = data[offer.args[0] :]
                head = self._head_without_offer()
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn sets it
                self._offered = False
                return self._feed(head + rest)
        except httptools.HttpParserError as error:
            told = error.__context__
            if isinstance(told, RefusedError):
                self.refuse(told.refusal)
            else:
                self.refuse(NO_HTTP_2 if self.parser.get_method() == b"PRI" else NO_HTTP)
            return False
        return True

    def _head_without_offer(self) -> bytes:
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (method, self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                kept = (token for token in value.split(b",") if token.strip().lower() not in _OFFER)
                lines.append(b"connection: " + b",".join(kept))
            elif name not in _OFFER:
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"", b""])

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        super().on_message_begin()
        self.reading = HEAD
        self.since = self.loop.time()

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer behind a body, which is ignored."""
        if self.reading == BODY:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise RefusedError(HEAD_TOO_LARGE)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start answering. httptools' own `parse_url` cuts a URL at 64 KiB silently, so only the path goes there."""
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise RefusedError(NO_PROXY)
            self._offered = True
            return
        if self.expect_100_continue and self.parser.get_http_version() == "1.0":
            self.expect_100_continue = False  # RFC 9110, 10.1.1
        self._framing_bytes = self._body_bytes = self._bytes_since_body = 0
        url, _, query = self.url.partition(b"?")
        self.url = url
        super().on_headers_complete()
        self.scope["query_string"] = query.partition(b"#")[0]  # the task that reads it starts after this call
        self.reading = BODY
        self.since = self.loop.time()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._framing_bytes -= len(body)
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole: the next byte begins another head."""
        if self._offered:
            return
        super().on_message_complete()
        self.reading = NOTHING
        self._in_request_line = True
        self._framing_bytes = 0
        self.request_complete()
