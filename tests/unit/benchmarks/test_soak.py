"""What a soak calls wrong, failed and creeping."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from benchmarks.measure.soak.memory import MOST_CHANGE, MOST_GROWTH, PARTS, Level, Sample, levels
from benchmarks.measure.soak.traffic import CheckedTraffic, own_answers, some_requests
from benchmarks.measure.soak.versions import KINDS, Kind, some_texts, write_version
from repository.store import ModelStore
from tests.waiting import wait_until

OWN = [{"a": ("cat", 0.75), "b": ("oak", 0.5)}, {"a": ("dog", 0.75), "b": ("elm", 0.5)}]
"""What versions 1 and 2 answer."""


class Server(BaseHTTPRequestHandler):
    """Answers as the version that it names, but for what a test changes."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    status: ClassVar[int] = 200
    named: ClassVar[int] = 1
    answering: ClassVar[int] = 1

    def do_GET(self) -> None:
        (sentence,) = parse_qs(urlsplit(self.path).query)["sentence"]
        self.answer(self.best(sentence))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.answer([self.best(sentence) for sentence in body["sentences"]])

    def best(self, sentence: str) -> list[dict[str, object]]:
        label, score = OWN[self.answering - 1][sentence]
        return [{"label": label, "score": score}]

    def answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(self.status)
        self.send_header("X-Model-Version", str(self.named))
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in (("status", 200), ("named", 1), ("answering", 1)):
        monkeypatch.setattr(Server, name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def asked(url: str, texts: int = 40) -> CheckedTraffic:
    with CheckedTraffic(url, some_requests(url, ["a", "b"]), 4, lambda number: OWN[number - 1]) as traffic:
        wait_until(lambda: traffic.counts.texts >= texts or not traffic.is_running, 10, "texts were asked")
    return traffic


@pytest.mark.parametrize("version", [1, 2])
def test_the_own_answers_of_the_version_that_is_named_are_right(url: str, version: int) -> None:
    Server.named = Server.answering = version
    counts = asked(url).counts
    assert (counts.wrong, counts.failed, counts.problems) == (0, 0, [])


def test_answers_of_another_version_than_the_named_one_are_wrong(url: str) -> None:
    Server.named = 2
    counts = asked(url).counts
    assert counts.wrong >= 40
    assert counts.failed == 0
    assert "wrong: version 2 to" in counts.problems[0]


def test_a_refusal_is_a_failure(url: str) -> None:
    Server.status = 503
    counts = asked(url).counts
    assert counts.failed > 0
    assert "503" in counts.problems[0]


def test_a_connection_that_breaks_is_a_failure(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Server, "do_GET", lambda self: setattr(self, "close_connection", True))
    traffic = asked(url)
    assert not traffic.is_running
    assert traffic.counts.failed == 1
    assert "a connection broke" in traffic.counts.problems[0]


def test_the_models_that_take_turns_have_nothing_in_common_and_the_largest_is_the_second_swap(tmp_path: Path) -> None:
    assert max(KINDS, key=lambda kind: kind.pieces) is KINDS[2]
    assert KINDS[2].pieces == 250_000
    assert len({label for kind in KINDS for label in kind.labels}) == sum(len(kind.labels) for kind in KINDS)
    texts = some_texts(20, 60)
    assert len(set(texts)) == 20
    store = ModelStore(tmp_path, "soak")
    store.folder.mkdir(exist_ok=True)
    found = []
    for name, seed in (("words", 1), ("WordPiece", 1), ("words", 2)):
        version = write_version(tmp_path / f"{name}-{seed}", Kind(name, ("x", "y", "z"), 2_000, 64), seed)
        store.publish(version)  # which runs the graph
        found.append(own_answers(version, texts))
    assert found[0] == own_answers(store.folder / "1", texts)
    assert len({answers[texts[0]] for answers in found}) == 3


def samples(gateway: list[float]) -> list[Sample]:
    def sample(swap: int, taken: float) -> Sample:
        each = dict.fromkeys(PARTS, 100.0) | {"gateway": taken}
        return Sample(3.0 * swap, swap, True, each, each, each, 2)

    return [sample(swap, taken) for swap, taken in enumerate(gateway, 1)]


TURN = [100.0, 400.0, 120.0, 110.0]


@pytest.mark.parametrize(
    ("gateway", "failures"),
    [
        (TURN * 4, []),
        ([*TURN * 2, *(taken * 1.04 for taken in TURN * 2)], []),
        ([*TURN * 2, *(taken * 1.06 for taken in TURN * 2)], ["gateway: +6.0% in the second half"]),
        ([*TURN * 7, 100.0, 441.0], ["gateway: +10.3% since the second swap"]),
        ([100.0, 400.0, 450.0], ["gateway: +12.5% since the second swap"]),
        ([100.0, 400.0, 120.0], []),
        ([100.0], []),
    ],
)
def test_what_creeps_is_told_from_what_comes_and_goes_with_the_models(
    gateway: list[float], failures: list[str]
) -> None:
    found: list[Level] = levels(samples(gateway), turn=4)
    assert [failure for level in found for failure in level.failures] == failures
    assert (MOST_CHANGE, MOST_GROWTH) == (0.05, 0.10)
