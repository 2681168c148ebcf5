"""Clients that ask one thing after the other, each on a connection of its own, and record what came of it."""

import http.client
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.nemesis.contents import SENTENCES, some_sentences
from tests.nemesis.history import FAIL, INFO, OK, Recorder

PAUSE_S = 0.1
"""Longest pause between two requests: load is another test's matter."""
AWAY_S = 1.0
"""Longest pause where nobody answers."""
GIVE_UP_S = 40.0
MOST_SENTENCES = 6
KINDS = ("classify", "batch", "models", "ready")
WEIGHTS = (6, 2, 1, 1)
NAMED_SHARE = 0.15
"""Of the requests for labels that name a version."""


class Client(threading.Thread):
    """One client; what it asks follows from its seed, when it does from how fast it is answered."""

    def __init__(self, name: str, seed: str, port: int, recorder: Recorder, deadline_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self._chance = random.Random(seed)
        self._port = port
        self._recorder = recorder
        self._deadline_s = deadline_s
        self._stopping = threading.Event()
        self._connection: http.client.HTTPConnection | None = None
        self._version = 1
        self._sentences = some_sentences()

    def stop(self) -> None:
        """Ask no more; the last request is waited for by `join`."""
        self._stopping.set()

    def run(self) -> None:
        """Ask until it is stopped."""
        while not self._stopping.is_set():
            (kind,) = self._chance.choices(KINDS, WEIGHTS)
            outcome = self._ask(kind)
            self._stopping.wait(self._chance.uniform(0, AWAY_S if outcome == INFO else PAUSE_S))
        self._hang_up()

    def _ask(self, kind: str) -> str:
        value: dict[str, Any] = {}
        if kind in ("classify", "batch"):
            count = 1 if kind == "classify" else self._chance.randint(2, MOST_SENTENCES)
            is_named = self._chance.random() < NAMED_SHARE
            value["sentences"] = self._chance.sample(range(SENTENCES), count)
            value["version"] = max(1, self._version - self._chance.randint(0, 2)) if is_named else None
        op = self._recorder.invoke(self.name, kind, **value)
        start = time.monotonic()
        try:
            outcome, found = self._exchange(kind, value)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._hang_up()
            waited_s = round(time.monotonic() - start, 3)
            outcome, found = INFO, {"error": f"{type(error).__name__}: {error}", "waited_s": waited_s}
        self._recorder.end(op, self.name, kind, outcome, **found)
        if kind == "classify" and outcome == OK:
            self._version = found["version"]
        return outcome

    def _exchange(self, kind: str, value: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Outcome and what is recorded of the answer. Raises OSError, HTTPException, ValueError: there is none."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=GIVE_UP_S)
        if kind == "batch":
            body = {"sentences": [self._sentences[place] for place in value["sentences"]]}
            if value["version"] is not None:
                body["version"] = value["version"]
            self._connection.request("POST", "/classify", json.dumps(body), {"Content-Type": "application/json"})
        else:
            self._connection.request("GET", self._path(kind, value))
        answer = self._connection.getresponse()
        content = json.loads(answer.read())
        if answer.status != 200:
            return FAIL, {
                "status": answer.status,
                "error": content.get("error") or content.get("detail") or content.get("status", ""),
                "retry_after": answer.headers.get("retry-after"),
                "deadline_s": self._deadline_s,
            }
        return OK, _READ[kind](answer, content)

    def _path(self, kind: str, value: dict[str, Any]) -> str:
        if kind != "classify":
            return {"models": "/models", "ready": "/health/ready"}[kind]
        (place,) = value["sentences"]
        named = "" if value["version"] is None else f"&version={value['version']}"
        return f"/classify?sentence={quote(self._sentences[place])}{named}"

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _read_one(answer: http.client.HTTPResponse, content: Any) -> dict[str, Any]:
    return _read_many(answer, [content])


def _read_many(answer: http.client.HTTPResponse, content: Any) -> dict[str, Any]:
    best = [[labels[0]["label"], labels[0]["score"]] for labels in content]
    return {"version": int(answer.headers["x-model-version"]), "answers": best}


def _read_models(_: http.client.HTTPResponse, content: Any) -> dict[str, Any]:
    return {"current": content["current"], "states": {each["version"]: each["state"] for each in content["versions"]}}


def _read_ready(_: http.client.HTTPResponse, content: Any) -> dict[str, Any]:
    return {"version": content["version"]}


_READ: dict[str, Callable[[http.client.HTTPResponse, Any], dict[str, Any]]] = {
    "classify": _read_one,
    "batch": _read_many,
    "models": _read_models,
    "ready": _read_ready,
}
