"""Bodies as callers send them, of every type, coding and encoding: read, or refused by the header that says so."""

import gzip
import json
import zlib
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.version_folders import write_version

BODIES = {"/classify": {"sentences": ["música"]}, "/predict": {"inputs": "música"}}
MOST_BYTES = 20_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("bodies")
    publish(folder / "repository", "classifier", write_version(folder / "version", {"cat": "Animal", "música": "Art"}))
    with Stack(folder / "repository", folder / "log", MAX_BODY_BYTES=str(MOST_BYTES)) as running:
        yield running


def send(
    stack: Stack, body: bytes, content_type: str = "", coding: str = "", path: str = "/classify"
) -> httpx.Response:
    headers = {"content-type": content_type, "content-encoding": coding}
    given = {name: value for name, value in headers.items() if value}
    return stack.client.post(path, content=body, headers=given)


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


Packed = Callable[[str], bytes]
READABLE: dict[str, tuple[Packed, str, str]] = {
    "no type": (str.encode, "", ""),
    "a kind of JSON": (str.encode, "application/vnd.api+json", ""),
    "JSON called text": (str.encode, "text/plain;charset=UTF-8", ""),
    "a byte order mark": (lambda text: text.encode("utf-8-sig"), "application/json", ""),
    "Latin-1 by name": (lambda text: text.encode("latin-1"), 'application/json; charset="ISO-8859-1"', ""),
    "Windows by name": (lambda text: text.encode("cp1252"), "application/json;charset=windows-1252", ""),
    "UTF-16 by name": (lambda text: text.encode("utf-16"), "application/json; charset=utf-16", ""),
    "UTF-16 without": (lambda text: text.encode("utf-16-le"), "application/json", ""),
    "gzip": (lambda text: gzip.compress(text.encode()), "application/json", "gzip"),
    "two gzips": (lambda text: gzip.compress(text[:9].encode()) + gzip.compress(text[9:].encode()), "", "x-gzip"),
    "deflate": (lambda text: zlib.compress(text.encode()), "application/json", "deflate"),
    "deflate without its head": (lambda text: raw_deflate(text.encode()), "application/json", "Deflate"),
    "twice": (lambda text: gzip.compress(zlib.compress(text.encode())), "application/json", "deflate, gzip"),
    "identity": (str.encode, "application/json", "identity"),
    "gzip of Latin-1": (lambda text: gzip.compress(text.encode("latin-1")), "text/plain; charset=latin1", "gzip"),
}


@pytest.mark.parametrize("sent", READABLE.values(), ids=READABLE)
@pytest.mark.parametrize("path", BODIES)
def test_a_body_that_can_be_read_is_read(stack: Stack, path: str, sent: tuple[Packed, str, str]) -> None:
    pack, content_type, coding = sent
    text = json.dumps(BODIES[path], ensure_ascii=False)
    expected = send(stack, text.encode(), "application/json", path=path)
    assert expected.status_code == 200
    answer = send(stack, pack(text), content_type, coding, path)
    assert (answer.status_code, answer.content) == (200, expected.content)


TEXT = json.dumps(BODIES["/predict"], ensure_ascii=False)
WRONG = {
    "a form": (b"sentence=cat", "application/x-www-form-urlencoded", "", 415, "Content-Type"),
    "JSON as a form": (TEXT.encode(), "application/x-www-form-urlencoded", "", 415, "Content-Type"),
    "Latin-1": (TEXT.encode("latin-1"), "application/json", "", 415, "Content-Type"),
    "an unknown encoding": (TEXT.encode(), "application/json; charset=utf-7", "", 415, "Content-Type"),
    "not what it is called": (b"\x81", "application/json; charset=cp1252", "", 415, "Content-Type"),
    "an unknown coding": (TEXT.encode(), "application/json", "zstd", 415, "Content-Encoding"),
    "no gzip": (TEXT.encode(), "application/json", "gzip", 400, "Content-Encoding"),
    "half a gzip": (gzip.compress(TEXT.encode())[:-9], "application/json", "gzip", 400, "Content-Encoding"),
    "a bomb": (gzip.compress(b" " * 50_000_000)[:19_999], "application/json", "gzip", 413, "longer than 20000"),
    "many gzips": (gzip.compress(b"") * 200, "application/json", "gzip", 400, "pieces"),
}


@pytest.mark.parametrize("path", ["/classify", "/predict"])
@pytest.mark.parametrize(("body", "content_type", "coding", "status", "words"), WRONG.values(), ids=WRONG)
def test_a_body_that_cannot_be_read_is_refused_by_the_header_that_says_so(
    stack: Stack, path: str, body: bytes, content_type: str, coding: str, status: int, words: str
) -> None:
    answer = send(stack, body, content_type, coding, path)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["error"]
    assert answer.json().get("error_type") == ("Validation" if path == "/predict" else None)


@pytest.fixture(scope="module")
def fresh(stack: Stack) -> Iterator[Gateway]:
    """A gateway that has refused nobody yet; its keys are no plain ASCII."""
    with gateway_beside(stack, stack.log.with_name("log-fresh"), API_KEYS=" clé ,naïf") as gateway:
        yield gateway


@pytest.mark.parametrize("sent", ["clé".encode(), "clé".encode("latin-1"), "cle\u0301".encode(), b"  na\xeff"])
def test_a_key_may_have_any_letters(fresh: Gateway, sent: bytes) -> None:
    def ask(key: bytes) -> int:
        headers = {b"authorization": b"Bearer " + key}
        return fresh.client.get("/classify", params={"sentence": "cat"}, headers=headers).status_code

    assert ask(sent) == 200
    assert ask(sent.strip()[:-1]) == 401


def test_every_refusal_is_counted_by_its_kind(fresh: Gateway) -> None:
    client = fresh.client
    client.headers = httpx.Headers({b"authorization": b"Bearer cl\xe9"})
    mistakes = {
        "InvalidRequest": lambda: client.get("/classify"),
        "InvalidJson": lambda: client.post("/classify", content=b"{"),
        "NotFound": lambda: client.get("/nothing"),
        "MethodNotAllowed": lambda: client.put("/classify"),
        "BodyTooLong": lambda: client.post("/predict", content=b" " * 30_000),
        "UnsupportedMediaType": lambda: client.post("/predict", content=b"x", headers={"content-type": "image/png"}),
        "Unauthorized": lambda: client.get("/models", headers={"authorization": ""}),
        "BlankSentence": lambda: client.get("/classify?sentence="),
    }
    for kind, make in mistakes.items():
        name = f'classifier_rejected_requests_total{{error="{kind}"}}'
        before = fresh.metric(name)
        assert 400 <= make().status_code < 500
        assert fresh.metric(name) == before + 1, kind
    name = 'classifier_rejected_requests_total{error="InvalidRequest"}'
    before = fresh.metric(name)
    client.get("/classify?sentence=a&top_k=-3")
    client.post("/predict", json={"inputs": []})
    assert fresh.metric(name) == before + 2


GET_ROUTES = ["/", "/docs", "/openapi.json", "/health/live", "/health/ready", "/models", "/classify?sentence=cat"]


@pytest.mark.parametrize("path", [*GET_ROUTES, "/classify?sentence=cat&top_k=2", "/classify?sentence="])
def test_head_is_get_without_the_body(stack: Stack, path: str) -> None:
    got, head = stack.client.get(path), stack.client.head(path)
    assert head.status_code == got.status_code
    assert head.content == b""
    own = ("date", "x-request-id")
    assert {n: v for n, v in head.headers.items() if n not in own} == {
        n: v for n, v in got.headers.items() if n not in own
    }


@pytest.mark.parametrize("path", ["/classify/", "//classify", "/classify//"])
def test_a_slash_too_many_changes_nothing(stack: Stack, path: str) -> None:
    headers = {"x-forwarded-proto": "https"}
    for query in ("?sentence=cat", "?sentence=cat&top_k=2"):
        got = stack.client.get(f"{stack.url}{path}{query}", headers=headers)
        assert (got.status_code, got.content) == (200, stack.client.get(f"/classify{query}").content)
        assert stack.client.head(f"{stack.url}{path}{query}").status_code == 200
    posted = stack.client.post(f"{stack.url}{path}", json={"sentences": ["cat"]})
    assert posted.json() == [stack.classify("cat").json()]
    for health in ("/health/live/", "/health/ready/"):
        assert stack.client.get(health).status_code == 200


def test_what_a_route_allows_is_said_whole(stack: Stack) -> None:
    refused, asked = stack.client.put("/classify"), stack.client.options("/classify/")
    assert (refused.status_code, asked.status_code) == (405, 204)
    assert refused.headers["allow"] == asked.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert stack.client.get("/predict").headers["allow"] == "OPTIONS, POST"


def test_one_pair_of_quotes_is_ignored_however_a_sentence_comes(stack: Stack) -> None:
    plain = stack.classify("cat música cat").json()
    for quoted in ('"cat música cat"', "'cat música cat'"):
        assert stack.classify(quoted).json() == plain
        assert stack.client.post("/classify", json={"sentences": [quoted]}).json() == [plain]
    idea = {"idea_title": '"cat', "map_title": 'música cat"'}
    assert stack.client.post("/classify", json={"ideas": [idea]}).json() == [plain]
