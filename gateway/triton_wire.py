"""The few bytes that an inference takes: KServe's v2 protocol with its binary tensors, over kept-alive connections.

NVIDIA's client builds an object a tensor and goes through a general HTTP client: some 0.6 ms a call, as long as
tokenizing ten sentences. An inference of ours always has the same two inputs and one output, so that a request is a
template with three numbers in it (protocol: https://github.com/kserve/open-inference-protocol and Triton's "binary
tensor data" extension).
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httptools
import numpy as np

from repository.inference import Float32Array, Int64Array
from repository.manifest import OUTPUT

_HEADER_LENGTH = "inference-header-content-length"

MOST_ANSWER_BYTES = 2**28
"""Of one exchange; the logits of 256 sentences over 100,000 labels take less than half of it."""


@dataclass
class WireAnswer:
    """An HTTP answer of Triton."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def logits(self) -> Float32Array:
        """The output tensor `[batch, labels]` of a successful inference. Raises ValueError: it holds none."""
        try:
            end = int(self.headers[_HEADER_LENGTH])
            shape = json.loads(self.body[:end])["outputs"][0]["shape"]
            found = np.frombuffer(self.body, dtype="<f4", offset=end).reshape(shape)
        except (LookupError, TypeError, OverflowError, RecursionError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from error
        if found.ndim != 2:
            raise ValueError(f"a tensor of shape {found.shape}, where [batch, labels] is needed")
        return found

    def error(self) -> str:
        """What Triton says of a failed request."""
        try:
            return str(json.loads(self.body)["error"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return f"status {self.status}"


def infer_request(host: str, model: str, version: int, inputs: dict[str, Int64Array], headers: str = "") -> bytes:
    """An inference request for INT64 inputs, all `[batch, sequence]`, as bytes to be sent.

    `headers` are more lines of its head, each with its line break.
    """
    tensors, data = [], []
    for name, array in inputs.items():
        raw = array.astype("<i8", copy=False).tobytes()
        data.append(raw)
        parameters = {"binary_data_size": len(raw)}
        tensors.append({"name": name, "shape": array.shape, "datatype": "INT64", "parameters": parameters})
    outputs = [{"name": OUTPUT, "parameters": {"binary_data": True}}]
    header = json.dumps({"inputs": tensors, "outputs": outputs}).encode()
    length = len(header) + sum(map(len, data))
    head = (
        f"POST /v2/models/{model}/versions/{version}/infer HTTP/1.1\r\nhost: {host}\r\n"
        f"content-type: application/octet-stream\r\n{_HEADER_LENGTH}: {len(header)}\r\ncontent-length: {length}\r\n"
        f"{headers}\r\n"
    )
    return b"".join((head.encode(), header, *data))


def plain_request(host: str, method: str, path: str) -> bytes:
    """A request without a body, after whose answer the connection is closed."""
    return f"{method} {path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode()


class Connection(asyncio.Protocol):
    """One connection, one exchange at a time."""

    def __init__(self) -> None:
        self.retire_at = 0.0
        """When it should be replaced, on the monotonic clock; for whoever keeps it."""
        self._transport: Any = None
        self._waiting: asyncio.Future[WireAnswer] | None = None
        self._answer = WireAnswer()
        self._body: list[bytes] = []
        self._received_bytes = 0
        self._parser = httptools.HttpResponseParser(self)

    def is_open(self) -> bool:
        """Whether it can be used, as far as this side knows."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Close without waiting."""
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, request: bytes) -> WireAnswer:
        """Send and wait. Raises ConnectionError."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._received_bytes = 0
        self._transport.write(request)
        return await self._waiting

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: it is open."""
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """asyncio: it is closed."""
        self._transport = None
        if self._is_waiting():
            assert self._waiting is not None
            self._waiting.set_exception(ConnectionResetError("Triton closed the connection"))

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of an answer."""
        self._received_bytes += len(data)
        if self._received_bytes > MOST_ANSWER_BYTES:
            self._give_up(f"an answer of more than {MOST_ANSWER_BYTES} bytes")
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._give_up(f"no HTTP: {error}")

    def _give_up(self, reason: str) -> None:
        if self._is_waiting():
            assert self._waiting is not None
            self._waiting.set_exception(ConnectionAbortedError(reason))
        self.close()

    def _is_waiting(self) -> bool:
        return self._waiting is not None and not self._waiting.done()

    def on_message_begin(self) -> None:
        """httptools: another answer begins; one that nobody asked for would be taken for the next request's."""
        if not self._is_waiting():
            self.close()
        self._answer = WireAnswer()
        self._body = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools: one header."""
        self._answer.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """httptools: a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """httptools: the answer is whole, unless it only says that one will come (RFC 9110, 15.2)."""
        self._answer.status = self._parser.get_status_code()
        if self._answer.status < 200:
            return
        self._answer.body = b"".join(self._body)
        if not self._parser.should_keep_alive():
            self.close()
        if self._is_waiting():
            assert self._waiting is not None
            self._waiting.set_result(self._answer)
