"""What a server answers to a sentence, and whether all servers answer the same."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.alternatives import AlternativeError
from benchmarks.measure.http_load import get_requests, post_request

AT_ONCE = 16
"""Sentences asked at the same time when answers are checked, so that what a batch answers is checked, too."""
TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Answer:
    """The best label of a sentence."""

    label: str
    score: float


@dataclass(frozen=True)
class Question:
    """How a server is asked for one sentence: `GET {path}?sentence=…`, or a POST where there is a body."""

    path: str
    body: Callable[[str], object] | None = None
    """The JSON to send for a sentence."""
    labels: Callable[[Any], Any] = lambda content: content
    """Picks the labels with their scores out of the answer's JSON."""

    def requests(self, url: str, sentences: Sequence[str]) -> list[bytes]:
        """For the load generator."""
        target = url + self.path
        if self.body is None:
            return get_requests(target, sentences)
        return [post_request(target, json.dumps(self.body(sentence)).encode()) for sentence in sentences]

    def read(self, body: bytes) -> Answer:
        """The label with the highest score.

        Raises:
            AlternativeError: the answer has another form.
        """
        try:
            best = max(self.labels(json.loads(body)), key=lambda entry: float(entry["score"]))
            return Answer(str(best["label"]), float(best["score"]))
        except (ValueError, TypeError, KeyError, IndexError):
            raise AlternativeError(f"answers in another form: {body[:100].decode(errors='replace')}") from None

    def ask(self, url: str, sentence: str, timeout_s: float = TIMEOUT_S) -> Answer:
        """Ask a running server.

        Raises:
            AlternativeError: no answer, no success, or an answer in another form.
        """
        request = urllib.request.Request(url + self.path, headers={"content-type": "application/json"})
        if self.body is None:
            request.full_url += "?" + urllib.parse.urlencode({"sentence": sentence})
        else:
            request.data = json.dumps(self.body(sentence)).encode()
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return self.read(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                text = error.read(100).decode(errors="replace")
            raise AlternativeError(f"answers with status {error.code}: {text}") from None
        except OSError as error:
            raise AlternativeError(f"does not answer: {error}") from None

    def ask_all(self, url: str, sentences: Sequence[str]) -> list[Answer]:
        """Ask for many sentences, several at a time.

        Raises:
            AlternativeError: as `ask`.
        """
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(lambda sentence: self.ask(url, sentence), sentences))


def pipeline_answers(checkpoint: Path, sentences: Sequence[str]) -> list[Answer]:
    """What the transformers pipeline answers, one sentence at a time: the answers that all others are held against."""
    from transformers import pipeline  # takes seconds, and is not needed to list the alternatives

    classifier = pipeline("text-classification", model=str(checkpoint), device="cpu")
    found = [classifier(sentence, truncation=True)[0] for sentence in sentences]
    return [Answer(best["label"], best["score"]) for best in found]


def difference(
    found: Sequence[Answer], expected: Sequence[Answer], sentences: Sequence[str], tolerance: float
) -> str | None:
    """In one line where the answers differ from those expected: another label, or a score off by more; else None."""
    wrong = [place for place, answer in enumerate(found) if answer.label != expected[place].label]
    if wrong:
        first = wrong[0]
        return (
            f"another label for {len(wrong)} of {len(expected)} sentences: {sentences[first][:60]!r} is "
            f"{found[first].label}, the pipeline says {expected[first].label}"
        )
    off = max(abs(answer.score - right.score) for answer, right in zip(found, expected, strict=True))
    return f"scores differ by up to {off:.4f}, more than {tolerance:g}" if off > tolerance else None
