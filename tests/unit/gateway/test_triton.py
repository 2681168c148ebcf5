"""What the gateway makes of a Triton that stops, lacks a version, or shares its address with others."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from gateway.errors import ModelFailedError, NotReadyError, VersionGoneError
from gateway.triton import OTHERS_ASKED, PROBES, TritonClient
from repository.inference import pad_batch

INPUTS = pad_batch([[5, 6]], 0)
LOGITS = np.array([[1.0, 2.0]], dtype="<f4")
UNKNOWN = "Request for unknown model: 'm' version 2 is not found"

Reply = tuple[int, bytes, dict[str, str]]


def error(status: int, message: str) -> Reply:
    return status, json.dumps({"error": message}).encode(), {}


def logits() -> Reply:
    head = json.dumps({"outputs": [{"name": "logits", "shape": [1, 2], "datatype": "FP32"}]}).encode()
    return 200, head + LOGITS.tobytes(), {"Inference-Header-Content-Length": str(len(head))}


@dataclass
class Server:
    """Speaks as Triton does; `replies` has one function for each connection in turn, the last one for all others."""

    replies: Sequence[Callable[[], Reply | None]]
    port: int = 0
    requests: list[int] = field(default_factory=list)
    """The connection that each request came over."""
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = self.connections
        self.connections += 1
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:-2])
                await reader.readexactly(int(headers["content-length"]))
                self.requests.append(number)
                reply = self.replies[min(number, len(self.replies) - 1)]()
                if reply is None:
                    break
                status, body, more = reply
                lines = {**more, "content-length": str(len(body))}
                answer = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{answer}\r\n".encode() + body)
        writer.close()


@contextlib.asynccontextmanager
async def running(server: Server, host: str = "127.0.0.1") -> AsyncIterator[TritonClient]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", server.port)
    port = listening.sockets[0].getsockname()[1]
    async with listening, TritonClient(host, port, "m") as client:
        yield client


def ask(server: Server, test: Callable[[TritonClient], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(20), running(server) as client:
            await test(client)

    asyncio.run(within())


@pytest.mark.parametrize("first", [lambda: error(503, "Server is stopping"), lambda: None, lambda: error(400, UNKNOWN)])
def test_a_triton_that_stops_is_asked_no_more_and_another_answers(first: Callable[[], Reply | None]) -> None:
    server = Server([first, logits])

    async def test(client: TritonClient) -> None:
        for _ in range(3):
            assert (await client.infer(2, INPUTS)).tolist() == LOGITS.tolist()
        assert server.requests == [0, 1, 1, 1]

    ask(server, test)


def test_a_triton_whose_queue_is_full_is_asked_once_more_and_no_oftener() -> None:
    server = Server([lambda: error(503, "Exceeds maximum queue size")])

    async def test(client: TritonClient) -> None:
        with pytest.raises(NotReadyError, match="queue is full"):
            await client.infer(2, INPUTS)
        assert server.requests == [0, 1]

    ask(server, test)


def test_a_backend_that_hangs_or_has_ended_says_nothing_of_the_version() -> None:
    server = Server([lambda: error(500, "Stub process 'classifier_0_0' is not healthy.")])

    async def test(client: TritonClient) -> None:
        with pytest.raises(NotReadyError, match="backend does not answer; try again"):
            await client.infer(2, INPUTS)

    ask(server, test)


def test_a_version_that_no_triton_has_is_given_up_after_a_bounded_search() -> None:
    server = Server([lambda: error(400, UNKNOWN)])

    async def test(client: TritonClient) -> None:
        with pytest.raises(VersionGoneError) as gone:
            await client.infer(2, INPUTS)
        assert gone.value.version == 2
        assert len(server.requests) == 1 + OTHERS_ASKED

    ask(server, test)


def test_a_request_that_is_wrong_is_not_repeated_and_costs_no_connection() -> None:
    server = Server([lambda: error(400, "indices element out of data bounds")])

    async def test(client: TritonClient) -> None:
        for _ in range(2):
            with pytest.raises(ModelFailedError) as failed:
                await client.infer(2, INPUTS)
            assert "out of data bounds" in failed.value.detail
        assert server.requests == [0, 0]

    ask(server, test)


def index(*versions: int) -> Callable[[], Reply]:
    entries = [{"name": "m", "version": str(number), "state": "READY"} for number in versions]
    return lambda: (200, json.dumps(entries).encode(), {})


def test_a_version_is_not_gone_because_one_triton_lacks_it() -> None:
    server = Server([index(1, 2), index(1), index(1), index(1, 2), index(1)])

    async def test(client: TritonClient) -> None:
        for _ in range(2):
            assert [state.number for state in await client.versions()] == [2, 1]
        assert [state.number for state in await client.versions()] == [1]  # nobody has it any more

    ask(server, test)


def test_a_version_is_everywhere_once_no_triton_that_is_met_lacks_it() -> None:
    ready, lacking = (lambda: (200, b"", {})), (lambda: (400, b"", {}))

    async def everywhere(client: TritonClient) -> None:
        assert await client.is_everywhere(2)

    async def not_yet(client: TritonClient) -> None:
        assert not await client.is_everywhere(2)

    ask(Server([ready]), everywhere)
    ask(Server([ready, lacking, ready]), not_yet)


def test_no_call_can_come_between_the_questions_whether_a_version_is_everywhere() -> None:
    """Of two Tritons that take turns, each question could else meet the same one."""
    waiting: list[asyncio.StreamWriter] = []

    async def answer_all_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        waiting.append(writer)
        if len(waiting) == PROBES:
            for each in waiting:
                each.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async def test() -> None:
        server = await asyncio.start_server(answer_all_at_once, "127.0.0.1", 0)
        async with server, TritonClient("127.0.0.1", server.sockets[0].getsockname()[1], "m") as client:
            assert await asyncio.wait_for(client.is_everywhere(2), 30)

    asyncio.run(test())


def test_every_address_of_the_host_is_used_and_one_that_is_down_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve = socket.getaddrinfo

    def three(host: str, *others: object, **more: object) -> list[tuple[object, ...]]:
        if host != "tritons":
            return resolve(host, *others, **more)  # type: ignore[arg-type,return-value]
        addresses = ("127.0.0.1", "127.0.0.2", "127.0.0.3")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", three)

    async def test() -> None:
        servers = [Server([index(1)]), Server([index(1)])]
        first = await asyncio.start_server(servers[0].serve, "127.0.0.1", 0)
        port = first.sockets[0].getsockname()[1]
        second = await asyncio.start_server(servers[1].serve, "127.0.0.2", port)
        async with asyncio.timeout(20), first, second, TritonClient("tritons", port, "m") as client:
            for _ in range(9):
                assert [state.number for state in await client.versions()] == [1]
        assert min(server.connections for server in servers) >= 3

    asyncio.run(test())
