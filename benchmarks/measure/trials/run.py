"""Tries versions on live traffic as their users do, and holds every answer against the version that its header names.

Round after round: a candidate that is a twin of the current version is promoted by its rule; one that answers otherwise
takes a share of the requests and is rejected by its rule; one is promoted by hand; and a version is published at once.
Meanwhile feedback is given. Then the time of an answer is measured at half of that load, with and without a candidate.
"""

import json
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure.http_load import get_requests
from benchmarks.measure.open_loop import open_loop
from benchmarks.measure.service import Service, running_service
from benchmarks.measure.soak.traffic import CheckedTraffic, Counts, Own, own_answers, some_requests
from benchmarks.measure.soak.versions import KINDS, write_version
from benchmarks.measure.trials.feedback import Feedback, FeedbackCounts
from repository.store import ModelStore

AFTER = 100
"""Mirrored sentences that a rule judges after: few, for a round is to take seconds."""
TWIN_AGREEMENT = 0.9
"""Of one that answers the same, whose lower bound after so few is 0.97."""
SLOW = 50.0
"""Times as slow as the current version that a candidate may be: here it is about answers, under full load."""
STEP_S = 900.0
"""What has not happened by then is not going to: where all cores are taken, a sentence is mirrored now and then."""
CANARY = 0.2
PAIRS = 3
SETTLE_S = 6.0
"""From when a candidate runs, or was taken away, until times are measured: Triton looks at the folder once more, and
what it loads and unloads then is a publish's cost, which is not in question here."""
HALF = 0.5
KEPT = 4

Report = Callable[[str], None]


@dataclass(frozen=True)
class Extent:
    """How much a run does."""

    seconds: float
    """Over which rounds begin; the last one is brought to its end."""
    connections: int
    measured_s: float = 15.0
    """Of each half of a pair at half load."""


@dataclass(frozen=True)
class HalfLoad:
    """Times of the answers at half of the full load, pair by pair."""

    rate: float
    """Requests a second."""
    without_p99_ms: list[float]
    with_p99_ms: list[float]
    mirrored: int
    """Sentences that the candidate answered beside, over all pairs."""

    @property
    def ratio(self) -> float:
        """The median over the pairs of p99 with shadow over p99 without."""
        pairs = zip(self.with_p99_ms, self.without_p99_ms, strict=True)
        return statistics.median(shadow / plain for shadow, plain in pairs)


@dataclass
class Trials:
    """What a run has found so far."""

    rounds: int = 0
    seconds: float = 0.0
    steps: dict[str, int] = field(default_factory=dict)
    """How often each kind of step came out as it had to."""
    counts: Counts = field(default_factory=Counts)
    feedback: FeedbackCounts = field(default_factory=FeedbackCounts)
    half_load: HalfLoad | None = None
    problem: str = ""
    """Why it ended before its time."""

    def figures(self) -> dict[str, float]:
        """What may be promised, by the names that the file of promises has for it; what was not measured is left out.

        p99 is the longest of those without a candidate: of the current version alone, at half load.
        """
        counts, found = self.counts, {}
        if counts.texts:
            found["failed_share"] = (counts.wrong + counts.failed) / counts.texts
        if self.half_load is not None and self.half_load.without_p99_ms:
            found["p99_ms"] = max(self.half_load.without_p99_ms)
        return found

    def failures(self) -> list[str]:
        """What did not hold, a line each."""
        found = [self.problem] if self.problem else []
        if self.counts.wrong or self.counts.failed:
            found.append(f"{self.counts.wrong} wrong, {self.counts.failed} failed; {self.counts.problems[0]}")
        if self.feedback.failed:
            found.append(f"{len(self.feedback.failed)} times feedback was not taken; {self.feedback.failed[0]}")
        return found


class StepError(Exception):
    """A step did not come out as it had to; the message says how it did."""


def run_trials(
    found: Trials,
    published: tuple[ModelStore, int],
    sentences: Sequence[str],
    folder: Path,
    extent: Extent,
    report: Report,
) -> None:
    """Fill `found` while it runs, so that what there is survives an interruption; everything is written to `folder`.

    Args:
        found: is filled.
        published: where the version is that is tried, and its number; nothing is written there.
        sentences: that are asked.
        folder: for a repository and what is kept.
        extent: how much is done.
        report: is told of progress.

    Raises:
        ServiceError: the service did not start.
    """
    report("asking each of the versions alone")
    tried = _Tried(*published, sentences, folder)
    settings = {"FEEDBACK": str(folder / "feedback"), "WATCH": "true", "SHADOW_SHARE": "0.1", "WORKERS": "1"}
    with running_service(tried.store.folder.parent, tried.store.model_name, **settings) as service:
        requests = some_requests(service.url, sentences)
        start = time.monotonic()
        with (
            Feedback(service.url, sentences, found.feedback),
            CheckedTraffic(service.url, requests, extent.connections, tried.own) as traffic,
        ):
            found.counts = traffic.counts
            rounds = _Rounds(tried, service, traffic, found)
            try:
                while time.monotonic() < start + extent.seconds and traffic.is_running:
                    rounds.one()
                    found.rounds += 1
                    found.seconds = time.monotonic() - start
                    report(
                        f"round {found.rounds}: {found.counts.texts} texts, {found.counts.wrong} wrong, "
                        f"{found.counts.failed} failed, feedback {found.feedback.taken}"
                    )
            except StepError as error:
                found.problem = str(error)
        found.seconds = time.monotonic() - start
        rate = HALF * len(traffic.result.latencies_ms) / found.seconds
        if not found.problem:
            report(f"half of that load, {rate:.0f} requests a second, with and without a candidate")
            found.half_load = _half_load(tried, service, sentences, rate, extent.measured_s)


class _Tried:
    """The versions that are published, in a repository of their own, and what each of them answers."""

    def __init__(self, store: ModelStore, number: int, sentences: Sequence[str], folder: Path) -> None:
        self.store = ModelStore(folder / "repository", store.model_name)
        self.folders = {
            "same": shutil.copytree(store.folder / str(number), folder / "same"),
            "other": write_version(folder / "other", KINDS[0], seed=0),
        }
        self._answers = {kind: own_answers(version, sentences) for kind, version in self.folders.items()}
        self._kinds: list[str] = []
        self.store.folder.mkdir(parents=True)
        self.store.ensure_config(store.config())
        self.publish("same")

    def own(self, number: int) -> Own:
        """What a version answers when it is asked alone."""
        return self._answers[self._kinds[number - 1]]

    def publish(self, kind: str, *options: str) -> int:
        """Publish by the command that a user types; returns the number, which is known before it may answer."""
        self._kinds.append(kind)
        self.manage("publish", str(self.folders[kind]), *options)
        return len(self._kinds)

    def manage(self, *arguments: str) -> str:
        """Run `python -m repository`. Raises StepError: it failed."""
        place = (f"--repository={self.store.folder.parent}", f"--model={self.store.model_name}")
        done = subprocess.run(
            [sys.executable, "-m", "repository", *arguments, *place], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StepError(f"`repository {' '.join(arguments)}` failed: {done.stderr.strip()[-300:]}")
        return done.stdout


class _Rounds:
    def __init__(self, tried: _Tried, service: Service, traffic: CheckedTraffic, found: Trials) -> None:
        self._tried, self._service, self._traffic, self._found = tried, service, traffic, found

    def one(self) -> None:
        """Each kind of step once. Raises StepError: one did not come out as it had to."""
        rule = ("--as", "candidate", "--after", str(AFTER), "--latency-ratio", str(SLOW))
        twin = self._tried.publish("same", *rule, "--agreement", str(TWIN_AGREEMENT))
        self._until("promoted by its rule", twin, lambda: self._current() == twin)
        other = self._tried.publish("other", *rule, "--agreement", str(TWIN_AGREEMENT), "--canary", str(CANARY))
        self._until("answered a share", other, lambda: other in self._traffic.versions)
        self._until("rejected by its rule", other, lambda: other not in self._tried.store.numbers())
        third = self._tried.publish("other", "--as", "candidate")
        self._until("beside the current one", third, lambda: self._state(third) == "candidate")
        self._tried.manage("promote")
        self._until("promoted by hand", third, lambda: self._current() == third)
        swapped = self._tried.publish("same")
        self._until("swapped", swapped, lambda: self._current() == swapped)
        self._tried.store.prune(KEPT)

    def _until(self, what: str, number: int, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + STEP_S
        while not is_so():
            if not self._traffic.is_running:
                raise StepError("a connection broke")
            if time.monotonic() > deadline:
                said = self._tried.manage("candidate")
                raise StepError(f"version {number} was not {what} within {STEP_S:g} s: {said[:300]}")
            time.sleep(0.1)
        self._found.steps[what] = self._found.steps.get(what, 0) + 1

    def _models(self) -> dict[str, Any]:
        return _json(f"{self._service.url}/models")

    def _current(self) -> int | None:
        current: int | None = self._models()["current"]
        return current

    def _state(self, number: int) -> str:
        return next((each["state"] for each in self._models()["versions"] if each["version"] == number), "")


def _half_load(tried: _Tried, service: Service, sentences: Sequence[str], rate: float, measured_s: float) -> HalfLoad:
    requests = get_requests(f"{service.url}/classify", sentences)
    plain: list[float] = []
    shadow: list[float] = []
    mirrored = 0
    for pair in range(PAIRS):
        for with_candidate in (False, True) if pair % 2 == 0 else (True, False):
            number = tried.publish("same", "--as", "candidate") if with_candidate else None
            if number is not None:
                _wait_for_candidate(service, number)
            time.sleep(SETTLE_S)  # in either half, so that both are measured alike
            result = open_loop(service.url, requests, rate, measured_s)
            (plain if number is None else shadow).append(result.percentile_ms(0.99))
            if number is not None:
                mirrored += _mirrored(tried)
                tried.manage("reject", "--reason", "measured")
    return HalfLoad(rate, plain, shadow, mirrored)


def _wait_for_candidate(service: Service, number: int) -> None:
    """Until it is loaded and its golden sentences came out right: what that costs is a swap's cost, not shadow's."""
    deadline = time.monotonic() + STEP_S
    while time.monotonic() < deadline:
        now = _json(f"{service.url}/models")["candidate"]
        if now is not None and now["version"] == number and now["state"] == "runs":
            return
        time.sleep(0.1)
    raise StepError(f"version {number} did not become a candidate within {STEP_S:g} s")


def _mirrored(tried: _Tried) -> int:
    """Sentences that were compared, as `repository candidate` tells them."""
    time.sleep(5.0)  # until the gateway has written its count
    told = re.search(r"(\d+) sentences", tried.manage("candidate"))
    return int(told.group(1)) if told else 0


def _json(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
    return found
