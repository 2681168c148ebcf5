"""Measures the alternatives, one after the other, each beside this server under the same load."""

import secrets
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.alternatives import AlternativeError
from benchmarks.alternatives.answers import Answer, Question, difference, pipeline_answers
from benchmarks.alternatives.environments import locked_version, obtain
from benchmarks.alternatives.ours import running_ours
from benchmarks.alternatives.processes import memory_mb, run_to_end, running
from benchmarks.alternatives.registry import Alternative, Launch
from benchmarks.gateway import BenchmarkError
from benchmarks.http_load import closed_loop_for
from benchmarks.service import free_ports

CHECKED_SENTENCES = 50
OURS = Question("/classify")
OUR_TOLERANCE = 1e-3
READY_QUESTION_S = 5.0
"""A server that has its port but not its model yet may let a question wait."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Loads:
    """How an alternative is loaded."""

    connections: tuple[int, ...] = (1, 64)
    seconds: float = 4.0
    """Of each load."""
    rounds: int = 3
    """Paired: this server and the alternative, one right after the other."""

    @property
    def seconds_each(self) -> float:
        """About how long an alternative takes, starting it included."""
        return 30 + 2 * len(self.connections) * (self.rounds + 0.5) * self.seconds


@dataclass(frozen=True)
class Figures:
    """What one load gave."""

    per_second: float
    p50_ms: float
    p99_ms: float


@dataclass
class Outcome:
    """What was measured of an alternative, or why nothing was."""

    alternative: Alternative
    reason: str = ""
    """Why there are no figures."""
    pairs: dict[int, list[tuple[Figures, Figures]]] = field(default_factory=dict)
    """Theirs and ours of each round, by the number of connections."""
    memory_mb: float = 0.0
    """Of all its processes, after the last load."""

    @property
    def version(self) -> str:
        """Of its package, or the image's tag."""
        alternative = self.alternative
        if not alternative.environment:
            return alternative.package.rpartition(":")[2]
        return locked_version(alternative.environment, alternative.package)

    def median(self, connections: int, ours: bool = False) -> Figures:
        """Medians of all rounds."""
        rounds = [pair[1 if ours else 0] for pair in self.pairs[connections]]
        return Figures(*(statistics.median(values) for values in zip(*map(_values, rounds), strict=True)))

    def ratios(self, connections: int) -> list[float]:
        """Answers a second, theirs as a multiple of ours, of each round; smallest first."""
        return sorted(theirs.per_second / ours.per_second for theirs, ours in self.pairs[connections])

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        pairs = [
            {"connections": connections, "theirs": asdict(theirs), "ours": asdict(ours)}
            for connections, rounds in self.pairs.items()
            for theirs, ours in rounds
        ]
        alternative = self.alternative
        said = {"name": alternative.name, "title": alternative.title, "settings": alternative.settings}
        return {**said, "version": self.version, "reason": self.reason, "memory_mb": self.memory_mb, "pairs": pairs}


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
        beside = Beside(ours.url, checkpoint, sentences, loads, checked, expected, report)
        for outcome in outcomes:
            if outcome.alternative.name in programs:
                report(f"{outcome.alternative.title} {outcome.version}")
                beside.measure(outcome, programs[outcome.alternative.name])
    return outcomes


@dataclass(frozen=True)
class Beside:
    """This server, running, and what every alternative is asked."""

    url: str
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
            launch = Launch(programs, self.checkpoint.absolute(), folder, free_ports(3))
            variables = _variables(launch) | alternative.variables
            if alternative.prepare is not None:
                run_to_end(alternative.prepare(launch), variables, folder)
            if alternative.clean_up is not None:
                stack.callback(_run_quietly, alternative.clean_up(launch))
            process = stack.enter_context(
                running(alternative.command(launch), variables, folder, lambda: self._is_ready(alternative, launch.url))
            )
            found = alternative.question.ask_all(launch.url, self.checked)
            differs = difference(found, self.expected, self.checked, alternative.tolerance)
            if differs:
                raise AlternativeError(f"not timed: {differs}")
            self._load_both(outcome, launch.url)
            if alternative.environment:  # a container is no child of the `docker` that is
                outcome.memory_mb = memory_mb(process)

    def _is_ready(self, alternative: Alternative, url: str) -> bool:
        try:
            alternative.question.ask(url, self.checked[0], READY_QUESTION_S)
        except AlternativeError:
            return False
        return True

    def _load_both(self, outcome: Outcome, url: str) -> None:
        question = outcome.alternative.question
        theirs, ours = question.requests(url, self.sentences), OURS.requests(self.url, self.sentences)
        pairs: dict[int, list[tuple[Figures, Figures]]] = {connections: [] for connections in self.loads.connections}
        for connections in self.loads.connections:  # warm-up: half a load each
            self._load(url, theirs, connections, self.loads.seconds / 2)
            self._load_ours(ours, connections, self.loads.seconds / 2)
        for number in range(self.loads.rounds):
            for connections in self.loads.connections:
                if number % 2:  # who comes second finds a warmer processor
                    found = self._load(url, theirs, connections, self.loads.seconds)
                    beside = self._load_ours(ours, connections, self.loads.seconds)
                else:
                    beside = self._load_ours(ours, connections, self.loads.seconds)
                    found = self._load(url, theirs, connections, self.loads.seconds)
                pairs[connections].append((found, beside))
                self.report(
                    f"  round {number + 1}, {connections} connections: {found.per_second:.0f}/s beside "
                    f"{beside.per_second:.0f}/s"
                )
        outcome.pairs = pairs

    def _load_ours(self, requests: Sequence[bytes], connections: int, seconds: float) -> Figures:
        try:
            return self._load(self.url, requests, connections, seconds)
        except AlternativeError as error:
            raise BenchmarkError(f"this server {error}") from None

    def _load(self, url: str, requests: Sequence[bytes], connections: int, seconds: float) -> Figures:
        try:
            result = closed_loop_for(url, requests, connections, seconds)
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
        return Figures(result.per_second, result.percentile_ms(0.5), result.percentile_ms(0.99))


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


def _values(figures: Figures) -> tuple[float, float, float]:
    return figures.per_second, figures.p50_ms, figures.p99_ms
