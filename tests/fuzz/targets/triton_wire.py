"""`gateway/triton_wire.py`: an answer means the same however it is cut, and what is no answer is one known error.

Input: all that Triton sends back. The same bytes, read as numbers, are sent as a request and as an answer, too.
"""

import asyncio
import contextlib
import json
import math
from typing import Any

import h11
import numpy as np

from gateway.errors import ModelFailedError, NotReadyError
from gateway.triton import TritonClient
from gateway.triton_wire import Connection, WireAnswer, infer_request
from repository.inference import Float32Array
from tests.fuzz.connection import pieces, run

FILES = ("gateway/triton_wire.py",)
WORDS = (
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n",
    b"HTTP/1.1 204 No Content\r\n",
    b"HTTP/1.1 503 Service Unavailable\r\n",
    b"Content-Length: 4\r\n",
    b"Inference-Header-Content-Length: 10\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"\r\n\r\n",
    b'{"outputs":[{"shape":[1,2]}]}',
    b'{"error":"unknown model"}',
    b'"shape":',
    b"[-1]",
    b"[1e400]",
    b"[99999999999999999999]",
    b"NaN",
    b"null",
    b"true",
    b'[{"name":"model","version":"1","state":"READY"}]',
)


class _Wire:
    """The transport of a connection to Triton."""

    def __init__(self) -> None:
        self.is_closed = False

    def write(self, data: bytes) -> None:
        """Triton reads it."""

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.is_closed = True


async def _received(parts: list[bytes]) -> tuple[Any, bool]:
    """What becomes of one request, and whether the connection is kept."""
    connection, wire = Connection(), _Wire()
    connection.connection_made(wire)  # type: ignore[arg-type]
    waiting = asyncio.ensure_future(connection.exchange(b"request"))
    await asyncio.sleep(0)
    for part in parts:
        if wire.is_closed:
            break
        connection.data_received(part)
    is_kept = connection.is_open()
    connection.connection_lost(None)
    try:
        answer = await waiting
    except ConnectionError as error:
        return type(error), is_kept
    return (answer.status, answer.headers, answer.body), is_kept


def check(data: bytes) -> None:
    """Raises AssertionError: Triton's bytes break a promise."""
    run(_check(data))


async def _check(data: bytes) -> None:
    whole, is_kept = await _received([data])
    parts = pieces(data)
    assert await _received(parts) == (whole, is_kept)
    if not isinstance(whole, tuple):
        assert not is_kept or whole is ConnectionResetError
    begun, _ = await _received(parts[:-1])
    assert begun in (whole, ConnectionResetError), "the beginning of an answer is taken for another one"
    if isinstance(whole, tuple):
        answer = WireAnswer(*whole)
        assert isinstance(answer.error(), str)
        logits = await _logits(answer)
        assert logits is None or (logits.ndim == 2 and logits.nbytes <= len(answer.body))
    await _numbers_arrive(data)


async def _logits(answer: WireAnswer) -> Float32Array | None:
    """The logits that `TritonClient` finds in an answer; None where it says that there are none."""

    class Pool:
        async def exchange(self, _request: bytes, **_: bool) -> WireAnswer:
            return answer

    client = TritonClient("127.0.0.1", 1, "model")
    client._pool = Pool()  # type: ignore[assignment]
    answer.status = 200
    with contextlib.suppress(NotReadyError):
        await client.versions()
    with contextlib.suppress(ModelFailedError):
        return await client.infer(1, {})
    return None


async def _numbers_arrive(data: bytes) -> None:
    """A request for these numbers is read back as v2's protocol says, and so is an answer with them."""
    numbers = np.frombuffer(data[: len(data) // 8 * 8], "<i8").reshape(1, -1)
    head, inputs = _request(infer_request("a:1", "model", 7, {"input_ids": numbers, "attention_mask": -numbers}))
    assert head == ("POST", "/v2/models/model/versions/7/infer")
    assert list(inputs) == ["input_ids", "attention_mask"]
    assert np.array_equal(inputs["input_ids"], numbers)
    assert np.array_equal(inputs["attention_mask"], -numbers)
    logits = np.frombuffer(data[: len(data) // 4 * 4], "<f4").reshape(-1, 1)
    header = json.dumps({"outputs": [{"name": "logits", "shape": logits.shape}]}).encode()
    said = f"HTTP/1.1 200 OK\r\ninference-header-content-length: {len(header)}\r\n"
    sent = f"{said}content-length: {len(header) + logits.nbytes}\r\n\r\n".encode() + header + logits.tobytes()
    (status, headers, body), is_kept = await _received(pieces(sent))
    assert is_kept
    assert WireAnswer(status, headers, body).logits().tobytes() == logits.tobytes()


def _request(content: bytes) -> tuple[tuple[str, str], dict[str, Any]]:
    """Method, path and tensors of an inference request, read by another parser and by the protocol's text."""
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(content)
    request: Any = connection.next_event()
    body = b""
    while isinstance(event := connection.next_event(), h11.Data):
        body += bytes(event.data)
    assert isinstance(event, h11.EndOfMessage)
    end = int(dict(request.headers)[b"inference-header-content-length"])
    tensors: dict[str, Any] = {}
    for tensor in json.loads(body[:end])["inputs"]:
        size = tensor["parameters"]["binary_data_size"]
        assert size == 8 * math.prod(tensor["shape"])
        tensors[tensor["name"]] = np.frombuffer(body[end : end + size], "<i8").reshape(tensor["shape"])
        end += size
    assert end == len(body)
    return (request.method.decode(), request.target.decode()), tensors
