"""The gateway beside what the same machine can do at best: paired rounds, medians, ratios."""

import json
import statistics
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.measure.costless import publish_costless
from benchmarks.measure.http_load import LoadResult, closed_loop, get_requests, post_request
from benchmarks.measure.in_process import BATCH_SIZES, InProcess, ways
from benchmarks.measure.service import running_bare_fastapi, running_service
from gateway.triton_wire import infer_request
from repository.inference import load_tokenizer, pad_batch
from repository.manifest import Manifest
from repository.store import ModelStore

CONNECTIONS = 64
POST_SENTENCES = 256
LONE_REQUESTS = 300
COSTLESS_REQUESTS = 4096
TRITON_ALONE = "Triton's own path: the same calls, without the gateway"

Report = Callable[[str], None]


class BenchmarkError(RuntimeError):
    """What was measured did not work."""


@dataclass
class Comparison:
    """Pairs of figures, ours and the limit's, measured one right after the other."""

    name: str
    unit: str
    target: str
    pairs: list[tuple[float, float]] = field(default_factory=list)
    difference: bool = False
    """Whether the target is about the difference of the two, and not about their ratio."""
    beside: str = ""
    """What it is measured beside, and which of several was the better one."""

    classifies: bool = True
    """Whether ours are sentences a second that a model classified, so that they have a cost."""

    @property
    def ours(self) -> float:
        """Median."""
        return statistics.median(ours for ours, _ in self.pairs)

    @property
    def limit(self) -> float:
        """Median."""
        return statistics.median(limit for _, limit in self.pairs)

    @property
    def figures(self) -> list[float]:
        """Ratio, or difference, of each pair, smallest first."""
        return sorted(ours - limit if self.difference else ours / limit for ours, limit in self.pairs)


def compare_gateway(
    store: ModelStore, number: int, sentences: Sequence[str], rounds: int, report: Report
) -> list[Comparison]:
    """Measure version `number` served by Triton and the gateway beside ONNX Runtime alone.

    Raises:
        BenchmarkError: an answer was no 200.
        ServiceError: a server did not start.
    """
    limit = InProcessLimit.find(store.folder / str(number), sentences[:1024], report)
    many = Comparison(f"{CONNECTIONS} connections, GET", "/s", "at least 0.80")
    posts = Comparison(f"POST with {POST_SENTENCES} sentences", "/s", "at least 0.95")
    lone = Comparison("one connection, p50", "ms", "at most +1.5 ms", difference=True, classifies=False)
    with running_service(store.folder.parent, store.model_name) as service:
        url = service.url
        gets = get_requests(f"{url}/classify", sentences)
        bodies = [
            post_request(f"{url}/classify", json.dumps({"sentences": sentences[at : at + POST_SENTENCES]}).encode())
            for at in range(0, len(sentences) - POST_SENTENCES + 1, POST_SENTENCES)
        ]
        _load(f"{url}/classify", gets[:512], CONNECTIONS)
        for round_number in range(rounds):
            report(f"round {round_number + 1} of {rounds}")
            rate = limit.per_second(sentences)
            many.pairs.append((_load(url, gets, CONNECTIONS).per_second, rate))
            rate = limit.per_second(sentences)
            posts.pairs.append((_load(url, bodies, 1).per_second * POST_SENTENCES, rate))
            latency = limit.lone_ms(sentences[:LONE_REQUESTS])
            lone.pairs.append((_lone_ms(url, gets[:LONE_REQUESTS]), latency))
    many.beside = posts.beside = f"ONNX Runtime, {limit.best_way}"
    lone.beside = f"ONNX Runtime, {limit.best_lone_way}"
    return [many, posts, lone]


@dataclass
class InProcessLimit:
    """ONNX Runtime alone, each use of the cores at its best batch size; each figure is that of the better one."""

    sessions: list[tuple[InProcess, int]]
    wins: Counter[str] = field(default_factory=Counter)
    lone_wins: Counter[str] = field(default_factory=Counter)

    @classmethod
    def find(cls, version: Path, sentences: Sequence[str], report: Report) -> "InProcessLimit":
        """Load the version once for each use of the cores, and try the batch sizes."""
        sessions = []
        for way in ways():
            bare = InProcess.open(version, way)
            bare.classify(sentences[:POST_SENTENCES], 16)
            rate, best = max(
                (statistics.median(bare.per_second(sentences, size) for _ in range(3)), size) for size in BATCH_SIZES
            )
            report(f"ONNX Runtime alone, {way}: best batch size {best}, {rate:.0f}/s.")
            sessions.append((bare, best))
        return cls(sessions)

    @property
    def best_way(self) -> str:
        """The one that was the faster more often."""
        return self.wins.most_common(1)[0][0]

    @property
    def best_lone_way(self) -> str:
        """The one that answered a lone sentence the sooner more often."""
        return self.lone_wins.most_common(1)[0][0]

    def per_second(self, sentences: Sequence[str]) -> float:
        """Sentences a second."""
        rate, way = max((bare.per_second(sentences, size), f"{bare.way}, batch {size}") for bare, size in self.sessions)
        self.wins[way] += 1
        return rate

    def lone_ms(self, sentences: Sequence[str]) -> float:
        """Median latency of one sentence at a time."""
        found = [(statistics.median(bare.lone_latencies_ms(sentences)), str(bare.way)) for bare, _ in self.sessions]
        latency, way = min(found)
        self.lone_wins[way] += 1
        return latency


def compare_costless(
    store: ModelStore, number: int, sentences: Sequence[str], rounds: int, report: Report
) -> list[Comparison]:
    """Measure the gateway over a model that costs nothing.

    Beside a bare FastAPI route that returns a constant, under load; and one call at a time beside the same call to
    Triton itself, which is the floor of what a lone sentence can take on its way.
    """
    name, route = "costless model beside bare FastAPI", "a bare FastAPI route"
    compared = Comparison(name, "/s", "at least 0.50", beside=route, classifies=False)
    scaled = Comparison("costless model, two workers beside one", "/s", "", beside="one worker", classifies=False)
    alone = "costless model, one connection, p50"
    path = Comparison(alone, "ms", "", difference=True, beside=TRITON_ALONE, classifies=False)
    sentences = [sentences[place % len(sentences)] for place in range(COSTLESS_REQUESTS)]
    with tempfile.TemporaryDirectory(prefix="costless-") as folder:
        repository = Path(folder)
        publish_costless(store.folder / str(number), repository, store.model_name)
        with (
            running_service(repository, store.model_name) as one_worker,
            running_service(repository, store.model_name, WORKERS="2") as two_workers,
            running_bare_fastapi() as bare,
        ):
            url, two_url = one_worker.url, two_workers.url
            lone = get_requests(f"{url}/classify", sentences[:LONE_REQUESTS])
            calls = _calls(one_worker.triton, repository / store.model_name / "1", sentences[:LONE_REQUESTS])
            for round_number in range(rounds):
                report(f"costless round {round_number + 1} of {rounds}")
                ours = _load(url, get_requests(f"{url}/classify", sentences), CONNECTIONS).per_second
                limit = _load(bare, get_requests(f"{bare}/classify", sentences), CONNECTIONS).per_second
                compared.pairs.append((ours, limit))
                two = _load(two_url, get_requests(f"{two_url}/classify", sentences), CONNECTIONS).per_second
                scaled.pairs.append((two, ours))
                path.pairs.append((_lone_ms(url, lone), _lone_ms(one_worker.triton, calls)))
    return [compared, scaled, path]


def _calls(url: str, version: Path, sentences: Sequence[str]) -> list[bytes]:
    """What the gateway sends Triton for each sentence alone."""
    manifest = Manifest.read(version)
    tokenizer = load_tokenizer(version, manifest.max_length)
    host, model = urlsplit(url).netloc, version.parent.name
    encoded = [tokenizer.encode(sentence).ids for sentence in sentences]
    inputs = [pad_batch([ids], manifest.pad_token_id, len(ids)) for ids in encoded]
    return [infer_request(host, model, int(version.name), each) for each in inputs]


def _lone_ms(url: str, requests: Sequence[bytes]) -> float:
    return _load(url, requests, 1).percentile_ms(0.5)


def _load(url: str, requests: Sequence[bytes], connections: int) -> LoadResult:
    result = closed_loop(url, requests, connections)
    if set(result.statuses) != {200}:
        raise BenchmarkError(f"{url} answered {dict(result.statuses)}, first {result.first_failure}")
    return result
