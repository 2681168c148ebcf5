"""What fuzzing found, told as what has to hold."""

import asyncio
import contextlib
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

import gateway.batch.rows
import gateway.triton_wire
from gateway.batch.delimited import DelimitedReader
from gateway.batch.errors import UsageError
from gateway.batch.formats import Format
from gateway.batch.json_lines import JsonLinesReader
from gateway.batch.rows import TextColumns
from gateway.batch.source import Source
from gateway.errors import ModelFailedError, NotReadyError
from gateway.triton import TritonClient
from gateway.triton_wire import Connection, WireAnswer
from repository.manifest import Manifest, RepositoryError
from tests.fuzz.connection import converse, run
from tests.fuzz.targets import load
from tests.fuzz.targets.http_protocol import Echo
from tests.fuzz.targets.triton_wire import _Wire

LETTERS = "GET /caf\xe9?\xe9 HTTP/1.1\r\nhost: a\r\n\r\n".encode()
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"


@pytest.mark.parametrize("before", [b"", b"\r\n", b"\r\n\r\n", POST, CHUNKED, LETTERS, POST + b"\r\n"])
def test_letters_in_a_url_are_read_whatever_comes_before_them_in_the_same_segment(before: bytes) -> None:
    app = Echo()
    outcome = run(converse(app, [before + LETTERS]))
    assert app.requests[-1].target == b"/caf%C3%A9?%C3%A9"
    assert b"HTTP/1.1 400" not in outcome.answered


@pytest.mark.parametrize("body", ["\xe9\r\n\r\n\xe9".encode(), b"\r\n\r\n", b"\xff" * 100])
def test_a_body_that_looks_like_the_end_of_a_head_is_left_as_it_is(body: bytes) -> None:
    app = Echo()
    chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    run(converse(app, [POST.replace(b"2\r\n\r\nhi", b"%d\r\n\r\n" % len(body)) + body + LETTERS]))
    run(converse(app, [CHUNKED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + chunk + LETTERS]))
    assert [request.body for request in app.requests] == [body, b"", body, b""]


async def asked(*segments: bytes) -> tuple[WireAnswer | type[BaseException], Connection]:
    connection = Connection()
    connection.connection_made(_Wire())  # type: ignore[arg-type]
    waiting = asyncio.ensure_future(connection.exchange(b"request"))
    await asyncio.sleep(0)
    for segment in segments:
        connection.data_received(segment)
    try:
        return await asyncio.wait_for(waiting, 5), connection
    except ConnectionError as error:
        return type(error), connection


def answer_with(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def test_an_offer_of_another_protocol_by_triton_is_no_answer() -> None:
    offer = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n"
    found, connection = run(asked(offer))
    assert found is ConnectionAbortedError
    assert not connection.is_open()


def test_a_notice_that_an_answer_will_come_is_not_the_answer() -> None:
    found, connection = run(asked(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + answer_with(b"a")))
    assert (found.status, found.body) == (200, b"a")
    assert connection.is_open()


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_requests() -> None:
    found, connection = run(asked(answer_with(b"a") + b"HTTP/1.1 200 OK\r\ncontent-le"))
    assert found.body == b"a"
    assert not connection.is_open()


def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway.triton_wire, "MOST_ANSWER_BYTES", 1000)
    found, connection = run(asked(answer_with(b"a" * 5000)[:600], b"a" * 600))
    assert found is ConnectionAbortedError
    assert not connection.is_open()
    endless, _ = run(asked(b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n"] * 200))
    assert endless is ConnectionAbortedError


DEEP = b"[" * 100_000


class Pool:
    """Gives one answer to whatever is asked."""

    def __init__(self, body: bytes, header_length: str = "0") -> None:
        self._answer = WireAnswer(200, {"inference-header-content-length": header_length}, body)

    async def exchange(self, _request: bytes, **_: bool) -> WireAnswer:
        return self._answer


def client_with(pool: Pool) -> TritonClient:
    client = TritonClient("127.0.0.1", 1, "model")
    client._pool = pool  # type: ignore[assignment]
    return client


@pytest.mark.parametrize(
    "header",
    [
        DEEP,
        b"",
        b"\xff",
        b"[]",
        b'{"outputs": []}',
        b'{"outputs": [{"shape": [99999999999999999999]}]}',
        b'{"outputs": [{"shape": [-1]}]}',
        b'{"outputs": [{"shape": [1, 1]}]}',
        b'{"outputs": [{"shape": null}]}',
        b'{"outputs": [{"shape": {}}]}',
    ],
    ids=lambda header: header[:50],
)  # fmt: skip
def test_an_inference_that_cannot_be_read_is_a_failed_one(header: bytes) -> None:
    with pytest.raises(ModelFailedError):
        run(client_with(Pool(header + b"\0" * 8, str(len(header)))).infer(1, {}))


@pytest.mark.parametrize(
    "body",
    [DEEP, b"null", b"3", b'{"name": 1}', b"[3]", b'[{"name": "model", "version": 1}]', b"[{}]",
     b'[{"name": "model", "version": "%b"}]' % (b"9" * 5000)],
    ids=lambda body: body[:20],
)  # fmt: skip
def test_a_list_of_versions_that_is_none_means_that_triton_is_away(body: bytes) -> None:
    with pytest.raises(NotReadyError):
        run(client_with(Pool(body)).versions())


@pytest.mark.parametrize("body", [DEEP, b"3", b"{}", b"[]", b"\xff"], ids=lambda body: body[:10])
def test_a_failure_without_words_is_told_by_its_status(body: bytes) -> None:
    assert WireAnswer(500, {}, body).error() == "status 500"


@pytest.mark.parametrize("kept", range(2, 29))
def test_a_packed_file_that_is_cut_off_is_told_of_wherever_it_is(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress(b"text\na\nb\n")[:kept])
    with pytest.raises(UsageError, match="read"):
        list(Source(path).lines())


@pytest.mark.parametrize("content", [b"text\r\r", b"text,id\r\ra,b\r\r", b"\r\rtext\r"])
def test_empty_lines_of_old_macs_are_empty_lines(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert [line.strip() for line in Source(path).lines()] == content.split(b"\r")[:-1]
    assert DelimitedReader(Source(path), Format.CSV).columns[0] == "text"


LINES = [b"text,id", *(b"a %d,%d" % (number, number) for number in range(9))]
OBJECTS = [json.dumps({"text": f"a {number}"}).encode() for number in range(9)]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("kind", [Format.CSV, Format.JSONL])
def test_reading_goes_on_where_it_ended_whatever_ends_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Format, end: bytes, packed: bool
) -> None:
    monkeypatch.setattr(gateway.batch.rows, "CHUNK_ROWS", 2)
    content = b"".join(line + end for line in (LINES if kind is Format.CSV else OBJECTS))
    path = tmp_path / "table"
    path.write_bytes(gzip.compress(content) if packed else content)

    def reader() -> Any:
        source = Source(path)
        return JsonLinesReader(source) if kind is Format.JSONL else DelimitedReader(source, kind)

    chunks = list(reader().chunks(gateway.batch.rows.Place(), TextColumns(("text",))))
    assert [text.first for chunk in chunks for text in chunk.texts] == [f"a {number}" for number in range(9)]
    for place, chunk in enumerate(chunks):
        rest = list(reader().chunks(chunk.end, TextColumns(("text",))))
        assert [each.rows for each in rest] == [each.rows for each in chunks[place + 1 :]]
        assert [each.end for each in rest] == [each.end for each in chunks[place + 1 :]]


def whole_manifest() -> dict[str, Any]:
    """The first of the corpus that is one."""
    for path in sorted(load("manifest").corpus.glob("*")):
        with contextlib.suppress(RepositoryError):
            found: dict[str, Any] = json.loads(Manifest.parse(path.read_bytes(), "folder").text())
            return found
    raise AssertionError("there is none")


@pytest.mark.parametrize("number", ["1e999", "Infinity", "NaN"])
def test_a_manifest_with_a_number_that_could_not_be_written_again_is_refused(number: str) -> None:
    content = whole_manifest()
    content["parity"]["max_logit_difference"] = 123456.0
    whole = json.dumps(content)
    with pytest.raises(RepositoryError, match=r"max_logit_difference"):
        Manifest.parse(whole.replace("123456.0", number).encode(), "folder")
    Manifest.parse(whole.encode(), "folder")
