"""Commands that change versions, `python -m repository …` as an operator types them, chosen by a seed and recorded."""

import random
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tests.nemesis.history import FAIL, INFO, OK, Recorder
from tests.nemesis.place import Place
from tests.places import ROOT

GIVE_UP_S = 60.0
PAUSE_S = (1.0, 5.0)
WEIGHTS = {"publish": 6, "rollback": 2, "pin": 2, "unpin": 3, "retract": 2, "prune": 2}
LEAST_GOOD = 2
"""Versions in order that a retraction leaves."""


class Commands:
    """The one who writes to the repository; `lock` is held by whoever changes or damages it."""

    def __init__(self, place: Place, contents: dict[str, Path], env: dict[str, str], recorder: Recorder) -> None:
        self.lock = threading.RLock()
        self.pinned: int | None = None
        self.bad: set[int] = set()
        """Versions that are broken or damaged now."""
        self.highest = 0
        """Number that was ever seen."""
        self.place = place
        self.contents = contents
        self._env = {**env, "MODEL_REPOSITORY": place.address}
        self._recorder = recorder

    def good(self) -> list[int]:
        """Versions that may answer, oldest first."""
        return [number for number in self.place.store.numbers() if number not in self.bad]

    def choose(self, chance: random.Random) -> None:
        """Run one that fits to what is there."""
        with self.lock:
            good = self.good()
            weights = dict(WEIGHTS)
            if self.pinned is None:
                del weights["unpin"]
            else:
                del weights["pin"], weights["retract"]
            if len(good) <= LEAST_GOOD or self.bad or not good:
                weights.pop("retract", None)
            if not good:
                weights.pop("pin", None)
            (kind,) = chance.choices(list(weights), list(weights.values()))
            self._run_kind(kind, chance, good)

    def _run_kind(self, kind: str, chance: random.Random, good: list[int]) -> None:
        if kind == "publish":
            self.publish(chance.choice(sorted(self.contents)))
        elif kind == "rollback":
            self.run("rollback", {})
        elif kind == "pin":
            self.run("pin", {"version": chance.choice(good[-3:])}, "VERSION")
        elif kind == "retract":
            self.run("retract", {"version": good[-1]}, "VERSION")
        elif kind == "prune":
            self.run("prune", {"keep": 3}, "--keep", "3")
        else:
            self.run("unpin", {})

    def publish(self, content: str, kill_after_s: float | None = None, folder: Path | None = None) -> None:
        """Publish a content; the command is killed after a while, if that is asked for."""
        source = folder or self.contents[content]
        self.run("publish", {"content": content}, str(source), kill_after_s=kill_after_s)

    def run(self, kind: str, asked: dict[str, Any], *arguments: str, kill_after_s: float | None = None) -> None:
        """Run a command, then look at what lies in the repository."""
        words = [str(asked["version"]) if word == "VERSION" else word for word in arguments]
        with self.lock:
            op = self._recorder.invoke("commands", kind, **asked)
            process = subprocess.Popen(
                [sys.executable, "-m", "repository", kind, *words],
                cwd=ROOT,
                env={**self._env, "COLUMNS": "1000"},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C is for the run, which lets the command come to its end
            )
            try:
                said, _ = process.communicate(timeout=GIVE_UP_S if kill_after_s is None else kill_after_s)
            except subprocess.TimeoutExpired:
                process.kill()
                said, _ = process.communicate()
                outcome, found = INFO, {"error": "killed"}
            else:
                outcome, found = self._result(kind, process.returncode, said)
            self._recorder.end(op, "commands", kind, outcome, **found)
            if kind in ("pin", "unpin"):
                self._note_pin()
            self.look()

    def look(self) -> None:
        """Record which versions lie there, and what they are."""
        with self.lock:
            versions = self.place.contents()
            self.highest = max([self.highest, *versions])
            self._recorder.note("commands", "disk", versions=versions)

    def _note_pin(self) -> None:
        from repository.config import pinned_version

        self.pinned = pinned_version(self.place.store.config())

    def _result(self, kind: str, status: int, said: str) -> tuple[str, dict[str, Any]]:
        if status != 0:
            return FAIL, {"error": said.strip()[-500:], "status": status}
        if kind == "publish":
            return OK, {"version": int(_number(r"Published version (\d+)", said))}
        if kind == "rollback":
            version, older = _number(r"Published version (\d+)", said), _number(r"content of version (\d+)", said)
            return OK, {"version": int(version), "from": int(older)}
        return OK, {"said": said.strip()}


def _number(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]
