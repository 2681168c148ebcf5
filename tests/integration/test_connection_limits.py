"""What a connection may not: be slow, rest, not read, be one too many, send without end. Others are answered still."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.integration.wire import BODY, Wire, ask, chunked, get, post
from tests.version_folders import write_version
from tests.waiting import wait_until

DESCRIPTORS = 200
HEAD_S = BODY_S = 2.0
KEEP_ALIVE_S = 3.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("connections")
    publish(folder / "repository", "classifier", write_version(folder / "version", {"cat": "Animal", "oak": "Plant"}))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


@pytest.fixture(scope="module")
def strict(stack: Stack) -> Iterator[Gateway]:
    """A gateway with few descriptors and short limits."""
    limits = {"HEAD_TIMEOUT_SECONDS": HEAD_S, "BODY_TIMEOUT_SECONDS": BODY_S, "SEND_TIMEOUT_SECONDS": 2.0}
    limits |= {"KEEP_ALIVE_SECONDS": KEEP_ALIVE_S}
    settings = {name: str(value) for name, value in limits.items()}
    log = stack.log.with_name("log-strict")
    with gateway_beside(stack, log, descriptors=DESCRIPTORS, DEADLINE_MS="60000", **settings) as gateway:
        yield gateway


def drip(wire: Wire, sent: bytes) -> None:
    """A byte at a time, until the gateway has had enough."""
    wire.socket.settimeout(0.2)
    for at in range(len(sent)):
        with contextlib.suppress(TimeoutError):
            wire.socket.send(sent[at : at + 1])
            if wire.socket.recv(1, socket.MSG_PEEK):
                wire.socket.settimeout(60)
                return
    pytest.fail("nobody minded")


@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        (b"", b"GET /classify?sentence=" + b"cat+" * 1000),
        (get(), b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 500),
        (post(b"x" * 4000)[0], b"x" * 4000),
        (chunked([])[0], b"1\r\nx\r\n" * 1000),
    ],
    ids=["first head", "second head", "body", "chunks"],
)
def test_a_caller_who_drips_is_told_to_be_late(strict: Gateway, at_once: bytes, slowly: bytes) -> None:
    counted = 'classifier_rejected_requests_total{error="RequestTimeout"}'
    before = strict.metric(counted)
    with Wire(strict.port) as wire:
        wire.send(at_once)
        if at_once == get():
            assert wire.answer().status == 200
        start = time.monotonic()
        drip(wire, slowly)
        assert time.monotonic() - start > HEAD_S * 0.9
        answer = wire.answer()
        assert answer.status == 408
        assert "2 seconds" in json.loads(answer.body)["error"]
        assert answer.headers["connection"] == "close"
    assert strict.metric(counted) == before + 1


def test_a_connection_that_rests_is_closed_without_a_word(strict: Gateway) -> None:
    with Wire(strict.port) as unused, Wire(strict.port) as used:
        used.send(get())
        assert used.answer().status == 200
        start = time.monotonic()
        assert used.is_closed()
        assert time.monotonic() - start > KEEP_ALIVE_S * 0.9
        assert unused.is_closed()


def descriptors(gateway: Gateway) -> int:
    return sum(1 for _ in Path(f"/proc/{gateway.process.pid}/fd").iterdir())


def holds(gateway: Gateway, caller: socket.socket) -> bool:
    """Whether the gateway has its end of this connection open; how many it has in all changes with others' coming."""
    address = caller.getsockname()
    return any(one.raddr == address for one in psutil.Process(gateway.process.pid).net_connections("tcp"))


def test_an_answer_that_nobody_reads_is_given_up(strict: Gateway) -> None:
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", strict.port))
        deaf.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        wait_until(lambda: holds(strict, deaf), 5, "it is connected")
        wait_until(lambda: not holds(strict, deaf), 10, "its connection is closed")


def test_health_answers_while_others_hold_half_requests_on_every_descriptor(strict: Gateway) -> None:
    wires: list[Wire] = []
    try:
        for number in range(3 * DESCRIPTORS):
            wires.append(Wire(strict.port))
            with contextlib.suppress(ConnectionError):
                wires[-1].send(get()[:8] if number % 3 else post(BODY)[0])
            if number % 20 == 0:
                assert strict.client.get("/health/live").status_code == 200
                with Wire(strict.port) as fresh:
                    fresh.send(get())
                    assert fresh.answer().status == 200
        assert descriptors(strict) < DESCRIPTORS
    finally:
        for wire in wires:
            wire.socket.close()
    assert "Traceback" not in strict.log.read_text()


def test_health_answers_while_all_others_wait_for_answers(stack: Stack, tmp_path: Path) -> None:
    most = 20
    settings = {"MAX_CONNECTIONS": str(most), "DEADLINE_MS": "60000", "VERSION_POLL_MS": "60000"}
    with gateway_beside(stack, tmp_path / "log", **settings) as gateway, contextlib.ExitStack() as connections:

        def is_full() -> bool:
            return ask(gateway.port, b"GET /models HTTP/1.1\r\nHost: x\r\n\r\n")[0][0] == 503

        gateway.client.close()  # its place would be given to one of those who come
        waiting = [connections.enter_context(Wire(gateway.port)) for _ in range(most)]
        with stack.hanging("tritonserver"):  # not its stubs: it would take them for dead
            for wire in waiting:
                wire.send(get())
            wait_until(is_full, 10, "there is no room for one more")
            with Wire(gateway.port) as late:
                late.send(get())
                refused = late.answer()
            assert refused.headers["retry-after"] == "1"
            assert "connections" in json.loads(refused.body)["error"]
            for _ in range(3):
                assert ask(gateway.port, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")[0][0] == 200
        assert [wire.answer().status for wire in waiting] == [200] * most


def bytes_around(kind: str) -> tuple[bytes, ...]:
    head, body = chunked([BODY])
    if kind == "trailers":
        return head, body[:-2], *[b"a: b\r\n" * 10_000] * 10
    if kind == "one trailer":
        return head, body[:-2] + b"a: ", *[b"b" * 60_000] * 10
    return head, *[b"1;" + b"x" * 60_000 + b"\r\nx\r\n"] * 10


@pytest.mark.parametrize("kind", ["trailers", "one trailer", "extensions"])
def test_bytes_that_are_no_body_are_bounded(stack: Stack, kind: str) -> None:
    with Wire(stack.ports["GATEWAY_PORT"]) as wire:
        wire.send(*bytes_around(kind), pause_s=0.001)
        answer = wire.answer()
    assert answer.status == 400
    assert "chunks" in json.loads(answer.body)["error"]
