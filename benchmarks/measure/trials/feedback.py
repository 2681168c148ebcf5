"""A caller who says of each answer that it was right."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import quote

EVERY_S = 0.2


@dataclass
class FeedbackCounts:
    """What became of the feedback."""

    taken: int = 0
    failed: list[str] = field(default_factory=list)
    """Why, each time."""


class Feedback:
    """Asks now and then on a thread of its own, and says that each answer was right."""

    def __init__(self, url: str, sentences: Sequence[str], counts: FeedbackCounts) -> None:
        self._url, self._sentences, self._counts = url, sentences, counts
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        place = 0
        while not self._over.wait(EVERY_S):
            sentence = self._sentences[place % len(self._sentences)]
            place += 1
            try:
                with urllib.request.urlopen(f"{self._url}/classify?sentence={quote(sentence)}", timeout=30) as answer:
                    asked, label = answer.headers["X-Request-ID"], json.load(answer)[0]["label"]
                body = json.dumps({"id": asked, "label": label}).encode()
                headers = {"Content-Type": "application/json"}
                with urllib.request.urlopen(
                    urllib.request.Request(f"{self._url}/feedback", body, headers), timeout=30
                ) as taken:
                    self._counts.taken += bool(json.load(taken)["right"])
            except (OSError, KeyError, ValueError) as error:
                said = error.read().decode() if isinstance(error, urllib.error.HTTPError) else repr(error)
                self._counts.failed.append(said[:200])
