"""Measures the alternatives, one after the other, each beside this server under the same load."""

import secrets
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from benchmarks.alternatives import AlternativeError
from benchmarks.alternatives.answers import Answer, Question, difference, pipeline_answers
from benchmarks.alternatives.environments import obtain
from benchmarks.alternatives.ours import Ours, running_ours
from benchmarks.alternatives.outcome import Loads, Outcome
from benchmarks.alternatives.processes import memory_mb, paused, run_to_end, running, wait_until_ready
from benchmarks.alternatives.registry import Alternative, Launch
from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.http_load import LoadResult, closed_loop_for
from benchmarks.measure.ports import free_ports

CHECKED_SENTENCES = 50
OURS = Question("/classify")
OUR_TOLERANCE = 1e-3
READY_QUESTION_S = 5.0
"""A server that has its port but not its model yet may let a question wait."""

Report = Callable[[str], None]


def measure_alternatives(
    alternatives: Sequence[Alternative],
    checkpoint: Path,
    sentences: Sequence[str],
    loads: Loads,
    environments: Path,
    create: bool,
    report: Report,
) -> list[Outcome]:
    """Measure each beside this server, which serves the same checkpoint as fp32.

    Args:
        alternatives: which, in order.
        checkpoint: folder of a fine-tuned sequence classifier.
        sentences: what is asked, in turn.
        loads: how.
        environments: folder of the alternatives' packages.
        create: install what is missing there.
        report: told what is being done.

    Returns:
        One outcome for each, with figures or with the reason why there are none.

    Raises:
        BenchmarkError: this server does not answer as the transformers pipeline does, or not at all.
        ServiceError: this server does not start.
    """
    outcomes = [Outcome(alternative) for alternative in alternatives]
    programs: dict[str, Path] = {}
    for outcome in outcomes:
        try:
            programs[outcome.alternative.name] = obtain(outcome.alternative, environments, create, report)
        except AlternativeError as error:
            _give_up(outcome, error, report)
    if not programs:
        return outcomes
    checked = sentences[:CHECKED_SENTENCES]
    report("the transformers pipeline's answers")
    expected = pipeline_answers(checkpoint, checked)
    with running_ours(checkpoint, sentences, report) as ours:
        _check_ours(ours.url, checked, expected)
        beside = Beside(ours, checkpoint, sentences, loads, checked, expected, report)
        for outcome in outcomes:
            if outcome.alternative.name in programs:
                report(f"{outcome.alternative.title} {outcome.version}")
                beside.measure(outcome, programs[outcome.alternative.name])
    return outcomes


@dataclass(frozen=True)
class Beside:
    """This server, running, and what every alternative is asked."""

    ours: Ours
    checkpoint: Path
    sentences: Sequence[str]
    loads: Loads
    checked: Sequence[str]
    expected: Sequence[Answer]
    report: Report

    def measure(self, outcome: Outcome, programs: Path) -> None:
        """Start an alternative, check its answers, load it, stop it; its outcome says what came of it.

        Raises:
            BenchmarkError: this server failed under the load.
        """
        try:
            self._measure(outcome, programs)
        except AlternativeError as error:
            _give_up(outcome, error, self.report)

    def _measure(self, outcome: Outcome, programs: Path) -> None:
        alternative = outcome.alternative
        with ExitStack() as stack:
            # A short name: Ray's sockets lie below, and a socket's path has 107 characters at most.
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="alt-", ignore_cleanup_errors=True)))
            launch = Launch(programs, self.checkpoint.absolute(), self.ours.version, folder, free_ports(3))
            variables = _variables(launch) | alternative.variables
            if alternative.prepare is not None:
                run_to_end(alternative.prepare(launch), variables, folder)
            if alternative.clean_up is not None:
                stack.callback(_run_quietly, alternative.clean_up(launch))
            is_ready = partial(self._is_ready, alternative.question, launch.url)
            process = stack.enter_context(running(alternative.command(launch), variables, folder, is_ready))
            found = alternative.question.ask_all(launch.url, self.checked)
            differs = difference(found, self.expected, self.checked, alternative.tolerance)
            if differs:
                raise AlternativeError(f"not timed: {differs}")
            self._load_both(outcome, launch.url, process)
            if alternative.environment:  # a container is no child of the `docker` that is
                outcome.memory_mb = memory_mb(process)
            outcome.our_memory_mb = memory_mb(psutil.Process(self.ours.pid))

    def _is_ready(self, question: Question, url: str) -> bool:
        try:
            question.ask(url, self.checked[0], READY_QUESTION_S)
        except AlternativeError:
            return False
        return True

    def _load_both(self, outcome: Outcome, url: str, process: psutil.Process) -> None:
        question = outcome.alternative.question
        theirs, ours = question.requests(url, self.sentences), OURS.requests(self.ours.url, self.sentences)

        def load_theirs(connections: int, seconds: float) -> LoadResult:
            with paused(psutil.Process(self.ours.pid)):
                wait_until_ready(lambda: self._is_ready(outcome.alternative.question, url))
                return self._load(url, theirs, connections, seconds)

        def load_ours(connections: int, seconds: float) -> LoadResult:
            with paused(process):
                return self._load_ours(ours, connections, seconds)

        pairs: dict[int, list[tuple[LoadResult, LoadResult]]] = {each: [] for each in self.loads.connections}
        for connections in self.loads.connections:  # warm-up: half a load each
            load_theirs(connections, self.loads.seconds / 2)
            load_ours(connections, self.loads.seconds / 2)
        for number in range(self.loads.rounds):
            for connections in self.loads.connections:
                if number % 2:  # who comes second finds a warmer processor
                    found = load_theirs(connections, self.loads.seconds)
                    beside = load_ours(connections, self.loads.seconds)
                else:
                    beside = load_ours(connections, self.loads.seconds)
                    found = load_theirs(connections, self.loads.seconds)
                if not found.latencies_ms or not beside.latencies_ms:
                    who = "it" if beside.latencies_ms else "this server"
                    raise AlternativeError(f"{who} answered nothing within {self.loads.seconds:g} s")
                pairs[connections].append((found, beside))
                self.report(
                    f"  round {number + 1}, {connections} connections: {found.per_second:.0f}/s beside "
                    f"{beside.per_second:.0f}/s"
                )
        outcome.pairs = pairs

    def _load_ours(self, requests: Sequence[bytes], connections: int, seconds: float) -> LoadResult:
        try:
            wait_until_ready(lambda: self._is_ready(OURS, self.ours.url))
            return self._load(self.ours.url, requests, connections, seconds)
        except AlternativeError as error:
            raise BenchmarkError(f"this server {error}") from None

    def _load(self, url: str, requests: Sequence[bytes], connections: int, seconds: float) -> LoadResult:
        try:
            result = closed_loop_for(url, requests, connections, seconds, self.loads.run_up_s)
        except TimeoutError:
            raise AlternativeError(f"stopped answering at {connections} connections") from None
        except OSError as error:
            raise AlternativeError(f"failed at {connections} connections: {error}") from None
        failed = result.statuses.total() - result.statuses[200]
        if failed:
            text = " ".join(result.first_failure.split())[:100]
            raise AlternativeError(
                f"failed {failed} of {result.statuses.total()} requests at {connections} connections: {text}"
            )
        return result


def _variables(launch: Launch) -> dict[str, str]:
    """What keeps a server's files in its own folder, and its doors shut."""
    folder = str(launch.folder)
    own = dict.fromkeys(("HF_HOME", "XDG_CACHE_HOME", "BENTOML_HOME", "RAY_TMPDIR"), folder)
    return {**own, "CHECKPOINT": str(launch.checkpoint), "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _check_ours(url: str, checked: Sequence[str], expected: Sequence[Answer]) -> None:
    try:
        differs = difference(OURS.ask_all(url, checked), expected, checked, OUR_TOLERANCE)
    except AlternativeError as error:
        differs = str(error)
    if differs:
        raise BenchmarkError(f"this server beside the transformers pipeline: {differs}")


def _give_up(outcome: Outcome, error: AlternativeError, report: Report) -> None:
    outcome.reason = " ".join(str(error).split())
    report(f"{outcome.alternative.title}: {outcome.reason}")


def _run_quietly(command: list[str]) -> None:
    subprocess.run(command, capture_output=True)
