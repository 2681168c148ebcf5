"""The usual `GET /classify` goes past FastAPI, and is answered as FastAPI would."""

import json
import socket
from collections.abc import Iterator
from http.client import HTTPMessage, HTTPResponse

import pytest

from tests.integration.gateways import publish
from tests.integration.stack import Stack
from tests.version_folders import write_version

WORDS = {"cat": "Animal", "oak": "Plant", "música": "Art"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("fast-lane")
    publish(folder / "repository", "classifier", write_version(folder / "version", WORDS))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


@pytest.mark.parametrize(
    "query",
    [
        "cat",
        "cat+oak%20cat",
        "cat%2Bcat",
        "%22cat%22",
        "cat" + "+oak" * 50,
        "",
        "+",
        "%00",
        "%",
        "%zz+cat",
        "%ED%A0%80+cat",
        "%ff+cat",
        "cat;oak",
        "cat=oak",
        "m%C3%BAsica",
        "m\xc3\xbasica",
        "%F0%9F%98%80+cat",
        "cat#oak",
        "a" * 140_000,
    ],
    ids=lambda query: query[:20],
)
def test_the_fast_lane_answers_as_fastapi_does(stack: Stack, query: str) -> None:
    # `truncate=true` is the default, and goes the longer way.
    (status, headers, body), slow = (get_raw(stack, f"?{first}sentence={query}") for first in ("", "truncate=true&"))
    assert status in (200, 413, 422)
    assert (status, body) == (slow[0], slow[2])
    for header in ("x-model-version", "x-truncated", "content-type", "content-length"):
        assert headers.get(header) == slow[1].get(header)


def get_raw(stack: Stack, query: str) -> tuple[int, HTTPMessage, bytes]:
    """Status, headers and body of GET /classify with the query's characters as the bytes that they are in Latin-1."""
    with socket.create_connection(("127.0.0.1", stack.ports["GATEWAY_PORT"]), timeout=60) as connection:
        connection.sendall(b"GET /classify%b HTTP/1.1\r\nhost: gateway\r\n\r\n" % query.encode("latin-1"))
        answer = HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.headers, answer.read()


def test_letters_that_are_not_escaped_are_read_as_utf_8(stack: Stack) -> None:
    """As curl sends them that were typed into a terminal."""
    status, _, body = get_raw(stack, "?sentence=m\xc3\xbasica")
    assert status == 200
    assert json.loads(body)[0]["label"] == "Art"
    assert json.loads(body) == stack.classify("música").json()
