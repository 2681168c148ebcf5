"""What a connection may do: offers, half an end, half a request, too many at once; whoever asks rightly is answered."""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.integration.wire import Wire, ask, chunked, get, post
from tests.version_folders import write_version
from tests.waiting import wait_until

BODY = json.dumps({"inputs": "cat oak cat"}).encode()
OFFERS = {
    "h2c as Java and curl make it": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: eA==\r\n",
    "TLS in odd letters": b"UPGRADE: TLS/1.0\r\nCONNECTION: uPGRADE\r\n",
    "several in several lines": b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: a, h2c\r\nUpgrade: b\r\n",
    "a part of one": b"Connection: Upgrade\r\n",
}
DESCRIPTORS = 200
HEAD_S = BODY_S = 2.0
KEEP_ALIVE_S = 3.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("connections")
    publish(folder / "repository", "classifier", write_version(folder / "version", {"cat": "Animal", "oak": "Plant"}))
    with Stack(folder / "repository", folder / "log", DEADLINE_MS="20000") as running:
        yield running


@pytest.fixture(scope="module")
def port(stack: Stack) -> int:
    return stack.ports["GATEWAY_PORT"]


@pytest.fixture(scope="module")
def strict(stack: Stack) -> Iterator[Gateway]:
    """A gateway with few descriptors and short limits."""
    limits = {"HEAD_TIMEOUT_SECONDS": HEAD_S, "BODY_TIMEOUT_SECONDS": BODY_S, "SEND_TIMEOUT_SECONDS": 2.0}
    limits |= {"KEEP_ALIVE_SECONDS": KEEP_ALIVE_S}
    settings = {name: str(value) for name, value in limits.items()}
    log = stack.log.with_name("log-strict")
    with gateway_beside(stack, log, descriptors=DESCRIPTORS, DEADLINE_MS="60000", **settings) as gateway:
        yield gateway


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("form", ["GET", "POST", "chunks", "HTTP/1.0", "Expect"])
def test_an_offer_of_another_protocol_changes_no_answer(port: int, offer: bytes, form: str) -> None:
    def parts(headers: bytes) -> tuple[bytes, ...]:
        if form == "GET":
            return (get(headers=headers),)
        if form == "chunks":
            return chunked([BODY[:7], BODY[7:]], headers)
        if form == "Expect":
            return post(BODY, headers + b"Expect: 100-continue\r\n")
        return post(BODY, headers, version="1.0" if form == "HTTP/1.0" else "1.1")

    plain = ask(port, *parts(b""))
    assert plain[0][0] == 200
    assert ask(port, *parts(offer)) == plain
    assert ask(port, b"".join(parts(offer))) == plain
    if form != "HTTP/1.0":
        assert ask(port, b"".join(parts(offer)) + get() + get(headers=offer) + get(), count=4)[0] == plain[0]


def test_a_request_with_an_offer_may_come_in_pieces_of_any_length(port: int) -> None:
    sent = b"".join(post(BODY, OFFERS["h2c as Java and curl make it"])) + get()
    expected = ask(port, b"".join(post(BODY)) + get(), count=2)
    with Wire(port) as wire:
        for length in range(1, len(sent)):
            wire.send(sent[:length], sent[length:], pause_s=0.001)
            assert wire.answers(2) == expected
        wire.send(*(sent[at : at + 1] for at in range(len(sent))), pause_s=0.0005)
        assert wire.answers(2) == expected


def test_nothing_is_said_of_libraries_for_offers(stack: Stack, port: int) -> None:
    ask(port, get(headers=OFFERS["websocket"]))
    assert "websocket" not in stack.log.read_text().lower()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n", 405),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505),
        (get()[:-2] + b"broken header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 5_000 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\na: " + b"b" * 900_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"b" * 900_000 + b" HTTP/1.1\r\n\r\n", 414),
        (post(BODY)[0][:-2] + b"Transfer-Encoding: chunked\r\n\r\n" + BODY, 400),
    ],
    ids=["CONNECT", "HTTP/2", "no header", "many headers", "a long header", "a long URL", "two lengths"],
)
def test_what_is_no_request_is_refused_in_json_after_the_answers_before_it(port: int, sent: bytes, status: int) -> None:
    with Wire(port) as wire:
        wire.send(get() + sent)
        first, second = wire.answers(2)
    assert first == ask(port, get())[0]
    assert second[0] == status
    assert list(json.loads(second[1])) == ["error"]


def test_a_caller_who_only_stops_sending_gets_its_answers_and_then_the_end(port: int) -> None:
    one, other = ask(port, get())[0], ask(port, *post(BODY))[0]
    offer = OFFERS["h2c as Java and curl make it"]
    for sent, expected in {
        get(): [one],
        get(version="1.0"): [one],
        get(headers=offer): [one],
        b"".join(post(BODY)): [other],
        b"".join(chunked([BODY])): [other],
        b"".join(post(BODY, offer)) + get() + b"".join(post(BODY)): [other, one, other],
    }.items():
        with Wire(port) as wire:
            wire.send(sent)
            wire.stop_sending()
            assert wire.answers(len(expected)) == expected
            assert wire.is_closed()


@pytest.mark.parametrize("sent", [get()[:10], post(BODY)[0], b"".join(post(BODY))[:-1], b"".join(chunked([BODY]))[:-2]])
def test_half_a_request_is_told_to_be_half(port: int, sent: bytes) -> None:
    with Wire(port) as wire:
        wire.send(sent)
        wire.stop_sending()
        status, body = wire.answers(1)[0]
        assert (status, json.loads(body)) == (400, {"error": "The request ended before it was whole."})
        assert wire.is_closed()


@contextlib.contextmanager
def triton_hanging(stack: Stack) -> Iterator[None]:
    pids = stack.processes("tritonserver")  # not its stubs: it would take them for dead
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_caller_who_only_stops_sending_is_waited_for_also_while_the_answer_takes_long(
    stack: Stack, port: int
) -> None:
    one, other = ask(port, get())[0], ask(port, *post(BODY))[0]
    with Wire(port) as first, Wire(port) as second:
        with triton_hanging(stack):
            first.send(get())
            second.send(b"".join(post(BODY)) + get())
            for wire in (first, second):
                wire.stop_sending()
            time.sleep(1)  # long enough to be taken for one who hung up
        assert first.answers(1) == [one]
        assert second.answers(2) == [other, one]
        assert first.is_closed()
        assert second.is_closed()


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


def test_an_answer_that_nobody_reads_is_given_up(strict: Gateway) -> None:
    before = descriptors(strict)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect(("127.0.0.1", strict.port))
        deaf.sendall(b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        wait_until(lambda: descriptors(strict) > before, 5, "it is connected")
        wait_until(lambda: descriptors(strict) <= before, 10, "its connection is closed")


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
        with triton_hanging(stack):
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
def test_bytes_that_are_no_body_are_bounded(port: int, kind: str) -> None:
    with Wire(port) as wire:
        wire.send(*bytes_around(kind), pause_s=0.001)
        answer = wire.answer()
    assert answer.status == 400
    assert "chunks" in json.loads(answer.body)["error"]


def test_trailers_are_no_headers_and_small_chunks_are_a_body(port: int) -> None:
    plain = ask(port, *post(BODY))[0]
    assert ask(port, *chunked([BODY[at : at + 1] for at in range(len(BODY))])) == [plain]
    trailers = b"X-Request-ID: from-behind\r\nContent-Encoding: br\r\nAuthorization: x\r\n"
    with Wire(port) as wire:
        wire.send(*chunked([BODY], trailers=trailers))
        answer = wire.answer()
        assert (answer.status, answer.body) == plain
        assert answer.headers["x-request-id"] != "from-behind"
        wire.send(get())
        assert wire.answer().status == 200


def test_a_caller_who_sends_faster_than_is_answered_is_answered_all_the_same(port: int) -> None:
    count = 6_000  # more than are read at once
    with Wire(port) as wire:
        wire.send(get() * count)
        assert set(wire.answers(count)) == {ask(port, get())[0]}


def test_a_service_on_ipv6_is_found_with_and_without_brackets(tmp_path: Path) -> None:
    if not socket.has_ipv6 or not has_loopback():
        pytest.skip("this machine has no IPv6")
    publish(tmp_path / "repository", "classifier", write_version(tmp_path / "version", {"cat": "Animal", "oak": "Oak"}))
    stack = Stack(tmp_path / "repository", tmp_path / "log", GATEWAY_HOST="::1", TRITON_HOST="[::1]")
    stack.use_host("[::1]")
    with stack:
        assert stack.classify("cat").json()[0]["label"] == "Animal"
        example = f"http://[::1]:{stack.ports['GATEWAY_PORT']}/classify?sentence="
        wait_until(lambda: example in stack.log.read_text(), 5, "the launcher says what to try")
    assert f"triton: ready at http://[::1]:{stack.ports['TRITON_HTTP_PORT']}" in stack.log.read_text()


def has_loopback() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
