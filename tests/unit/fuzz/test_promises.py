"""What fuzzing asks of readers, of inputs that are right by construction, or wrong in one place."""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repository.manifest import Manifest, RepositoryError
from tests.fuzz.connection import converse, pieces, run
from tests.fuzz.targets import load
from tests.fuzz.targets.http_protocol import Echo, Request

SEEDED = settings(
    max_examples=80, derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)

LETTERS = st.text(
    st.characters(codec="utf-8", exclude_characters=" #?%\r\n\x00", exclude_categories=["Cc"]), max_size=8
)


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, Request]:
    """A request in the bytes of one that is right, and what it says; letters in the URL stand as they are typed."""
    path = "/" + draw(LETTERS).replace("/", "")
    body = draw(st.binary(max_size=30))
    method = draw(st.sampled_from(("GET", "POST", "PUT", "DELETE")))
    head = draw(st.sampled_from((b"", b"\r\n"))) + f"{method} {path} HTTP/1.1\r\nhost: a\r\n".encode()
    target = b"".join(b"%%%02X" % byte if byte > 127 else bytes([byte]) for byte in path.encode())
    if draw(st.booleans()):
        size = draw(st.integers(1, 10))
        chunks = [body[place : place + size] for place in range(0, len(body), size)]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])
        return head + b"transfer-encoding: chunked\r\n\r\n" + sent, Request(method, target, body)
    if body or draw(st.booleans()):
        return head + b"content-length: %d\r\n\r\n" % len(body) + body, Request(method, target, body)
    return head + b"\r\n", Request(method, target, b"")


@SEEDED
@given(st.lists(requests(), min_size=1, max_size=4))
def test_requests_behind_each_other_are_read_as_they_were_meant_wherever_they_are_cut(
    sent: list[tuple[bytes, Request]],
) -> None:
    data = b"".join(content for content, _ in sent)
    for parts in ([data], pieces(data), [data[place : place + 1] for place in range(len(data))]):
        app = Echo()
        outcome = run(converse(app, parts))
        assert app.requests == [request for _, request in sent]
        assert outcome.answered.count(b"HTTP/1.1 200 OK") == len(sent)
        assert b"HTTP/1.1 4" not in outcome.answered


ANY_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value within a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, item in inner for found in places(item, (*path, key)))]


WHOLE = []
for kept in sorted(load("manifest").corpus.glob("*")):
    try:
        WHOLE.append(json.loads(Manifest.parse(kept.read_bytes(), "folder").text()))
    except RepositoryError:
        continue


@SEEDED
@given(st.data())
def test_a_manifest_with_any_json_in_one_place_is_read_and_written_the_same_or_refused(data: st.DataObject) -> None:
    whole = data.draw(st.sampled_from(WHOLE))
    *way, last = data.draw(st.sampled_from(places(whole)[1:]))
    changed = json.loads(json.dumps(whole))
    part = changed
    for key in way:
        part = part[key]
    part[last] = data.draw(ANY_JSON)
    load("manifest").check(json.dumps(changed).encode())
