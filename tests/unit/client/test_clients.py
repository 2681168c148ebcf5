"""What both clients send, and what they refuse to."""

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.faulty_server import faulty_server
from tests.places import ROOT
from tests.unit.client.both import both, classify, labels
from text_classifier_client import (
    Pair,
    __version__,
)

NUMBERS = [str(number) for number in range(300)]


@both
def test_a_text_gets_an_answer_a_list_a_list_and_an_iterator_an_iterator(kind: str) -> None:
    with faulty_server() as server:
        answer = classify(kind, server, "día")
        assert (answer.label, answer.version, answer.request_id) == ("día", 3, "request-0")
        assert labels(classify(kind, server, NUMBERS)) == NUMBERS
        assert labels(classify(kind, server, tuple(NUMBERS[:2]))) == NUMBERS[:2]
        assert labels(classify(kind, server, iter(NUMBERS))) == NUMBERS
        assert labels(classify(kind, server, [Pair("a", "b")])) == ["a+b"]
        count = len(server.requests)
        assert classify(kind, server, []) == classify(kind, server, iter([])) == []
        assert len(server.requests) == count


@both
def test_what_is_sent(kind: str) -> None:
    with faulty_server() as server:
        settings = {"api_key": "secret", "model": "topics", "headers": {"X-Team": "maps"}}
        classify(kind, f"{server.url}/under/", ["día", "\ud800"], settings, top_k="all", version=3, min_score=None)
        (request,) = server.requests
    assert request.path == "/under/classify"
    assert request.body == {"sentences": ["día", "\ud800"], "model": "topics", "top_k": "all", "version": 3}
    expected = {
        "authorization": "Bearer secret",
        "x-team": "maps",
        "content-type": "application/json",
        "accept-encoding": "identity",
    }
    assert request.headers.items() >= expected.items()
    assert request.headers["user-agent"].startswith(f"text-classifier-client/{__version__} ")


@both
@pytest.mark.parametrize(
    ("settings", "call", "message"),
    [
        ({"base_url": "localhost:8000"}, {}, "base_url"),
        ({"base_url": "ftp://x"}, {}, "base_url"),
        ({"api_key": ""}, {}, "api_key"),
        ({"api_key": "sécret"}, {}, "api_key"),
        ({"timeout": 0}, {}, "timeout"),
        ({"timeout": float("inf")}, {}, "timeout"),
        ({"deadline": -1}, {}, "deadline"),
        ({"retries": -1}, {}, "retries"),
        ({"concurrency": 0}, {}, "concurrency"),
        ({"batch_size": 1.5}, {}, "batch_size"),
        ({"hedge_after": "p99"}, {}, "hedge_after"),
        ({"hedge_after": 0}, {}, "hedge_after"),
        ({"hedge_share": 0}, {}, "hedge_share"),
        ({"colour": "red"}, {}, "colour"),
        ({}, {"on_error": "ignore"}, "on_error"),
        ({}, {"deadline": 0}, "deadline"),
        ({}, {"topk": 1}, "topk"),
        ({}, {"min_score": float("nan")}, "JSON"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_sent(
    kind: str, settings: dict[str, Any], call: dict[str, Any], message: str
) -> None:
    with faulty_server() as server:
        url = settings.get("base_url", server.url)
        with pytest.raises((ValueError, TypeError), match=message) as caught:
            classify(kind, url, "a", {name: each for name, each in settings.items() if name != "base_url"}, **call)
        assert "sécret" not in str(caught.value)
        assert server.requests == []


@pytest.mark.parametrize("odd", [b"a", {"a": "b"}, 5, None, bytearray(b"a")])
@both
def test_what_is_no_text_is_a_type_error(kind: str, odd: Any) -> None:
    with pytest.raises(TypeError):
        classify(kind, "http://127.0.0.1:1", odd)


def test_importing_the_client_imports_no_library_of_tables() -> None:
    code = "import sys, text_classifier_client; print({'pandas', 'polars', 'pyarrow', 'numpy'} & sys.modules.keys())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
