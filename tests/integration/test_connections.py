"""What a connection may do: offers, half an end, half a request, trailers; whoever asks rightly is answered."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.gateways import publish
from tests.integration.stack import Stack
from tests.integration.wire import BODY, Wire, ask, chunked, get, post
from tests.version_folders import write_version
from tests.waiting import wait_until

OFFERS = {
    "h2c as Java and curl make it": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n",
    "websocket": b"Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Key: eA==\r\n",
    "TLS in odd letters": b"UPGRADE: TLS/1.0\r\nCONNECTION: uPGRADE\r\n",
    "several in several lines": b"Connection: keep-alive\r\nConnection: upgrade\r\nUpgrade: a, h2c\r\nUpgrade: b\r\n",
    "a part of one": b"Connection: Upgrade\r\n",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("connections")
    publish(folder / "repository", "classifier", write_version(folder / "version", {"cat": "Animal", "oak": "Plant"}))
    with Stack(folder / "repository", folder / "log", DEADLINE_MS="20000") as running:
        yield running


@pytest.fixture(scope="module")
def port(stack: Stack) -> int:
    return stack.ports["GATEWAY_PORT"]


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


def test_a_caller_who_only_stops_sending_is_waited_for_also_while_the_answer_takes_long(
    stack: Stack, port: int
) -> None:
    one, other = ask(port, get())[0], ask(port, *post(BODY))[0]
    with Wire(port) as first, Wire(port) as second:
        with stack.hanging("tritonserver"):  # not its stubs: it would take them for dead
            first.send(get())
            second.send(b"".join(post(BODY)) + get())
            for wire in (first, second):
                wire.stop_sending()
            time.sleep(1)  # long enough to be taken for one who hung up
        assert first.answers(1) == [one]
        assert second.answers(2) == [other, one]
        assert first.is_closed()
        assert second.is_closed()


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
