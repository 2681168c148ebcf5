"""Callers that never pause, and whether each answer is what the version that it names answers when asked alone."""

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.measure.http_load import LoadResult, closed_loop_until, get_requests, post_request
from benchmarks.measure.in_process import InProcess, Way
from repository.inference import scores

MOST_IN_A_REQUEST = 16
TOLERANCE = 1e-4
"""How far a score may be off: sums of a batch are added up in another order."""
BATCH = 16
MOST_PROBLEMS = 50
"""Kept of those that are told."""

Best = tuple[str, float]
Own = Mapping[str, Best]
"""The best label of each text, with its score."""


def own_answers(version: Path, texts: Sequence[str]) -> Own:
    """What a version folder answers to each text in ONNX Runtime alone, without server or gateway."""
    alone = InProcess.open(version, Way(threads=1, runs=1))
    labels, kind = alone.manifest.labels, alone.manifest.problem_type
    rows = [scores(logits[None], kind)[0] for logits in alone.classify(texts, BATCH)]
    return {text: (labels[int(row.argmax())], float(row.max())) for text, row in zip(texts, rows, strict=True)}


def some_requests(url: str, texts: Sequence[str]) -> dict[bytes, tuple[str, ...]]:
    """Each text by GET, and after each sixteen of them some of these by POST, with the texts that are asked."""
    requests: dict[bytes, tuple[str, ...]] = {}
    for start in range(0, len(texts), MOST_IN_A_REQUEST):
        some = texts[start : start + MOST_IN_A_REQUEST]
        requests |= {get: (text,) for get, text in zip(get_requests(f"{url}/classify", some), some, strict=True)}
        several = tuple(some[: 2 + start // MOST_IN_A_REQUEST % (MOST_IN_A_REQUEST - 1)])
        requests[post_request(f"{url}/classify", json.dumps({"sentences": several}).encode())] = several
    return requests


@dataclass
class Counts:
    """What came back."""

    texts: int = 0
    """Asked and answered."""
    wrong: int = 0
    """Answers that are not the own ones of the version that they name."""
    failed: int = 0
    """Answers that were no 200, and connections that broke."""
    problems: list[str] = field(default_factory=list)
    """The first of them, each with its moment in seconds since the start."""


class CheckedTraffic:
    """Asks on a thread of its own over `connections` connections, until its block ends."""

    def __init__(
        self, url: str, requests: Mapping[bytes, tuple[str, ...]], connections: int, own: Callable[[int], Own]
    ) -> None:
        """`own` gives the answers of a version's number."""
        self.counts = Counts()
        self.versions: set[int] = set()
        """Those that have answered."""
        self.result = LoadResult()
        self._url = url
        self._requests = requests
        self._connections = connections
        self._own = own
        self._over = False
        self._start = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._thread.join(timeout=60)

    @property
    def is_running(self) -> bool:
        """False once a connection broke."""
        return self._thread.is_alive()

    def _run(self) -> None:
        self._start = time.monotonic()
        try:
            self.result = closed_loop_until(
                self._url, list(self._requests), self._connections, lambda: self._over, self._take
            )
        except OSError as error:
            if not self._over:
                self._note("failed", f"a connection broke: {error!r}")

    def _take(self, request: bytes, head: bytes, body: bytes) -> None:
        texts = self._requests[request]
        self.counts.texts += len(texts)
        version = _version(head)
        if not head.startswith(b"HTTP/1.1 200 ") or version is None:
            self._note("failed", f"{head[:12]!r}: {body[:200]!r}")
            return
        self.versions.add(version)
        content = json.loads(body)
        found = content if len(texts) > 1 else [content]
        own = self._own(version)
        for text, answer in zip(texts, found, strict=True):
            if not _is_own(answer, own[text]):
                self._note("wrong", f"version {version} to {text[:60]!r}: {answer}, alone {own[text]}")

    def _note(self, what: str, problem: str) -> None:
        setattr(self.counts, what, getattr(self.counts, what) + 1)
        if len(self.counts.problems) < MOST_PROBLEMS:
            self.counts.problems.append(f"{time.monotonic() - self._start:.1f} s, {what}: {problem}")


def _version(head: bytes) -> int | None:
    value = head.lower().partition(b"\r\nx-model-version: ")[2].partition(b"\r\n")[0]
    return int(value) if value.isdigit() else None


def _is_own(answer: Any, own: Best) -> bool:
    label, score = own
    return len(answer) == 1 and answer[0]["label"] == label and abs(answer[0]["score"] - score) <= TOLERANCE
