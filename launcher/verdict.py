"""Is a model worse than the served version beyond the noise? Both are asked the test texts that are new to both."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repository.console import Console, shortened
from repository.figures import NAMES
from repository.manifest import MANIFEST_FILE, ProblemType
from repository.places import open_history
from repository.settings import RepositorySettings
from training.data.columns import Wanted
from training.data.examples import Example, Target
from training.data.reading import read_examples
from training.data.sources import read_source
from training.data.split_record import SPLIT_FILE, SplitRecord
from training.report.asked import UnusableError, ask, open_checkpoint
from training.report.served import ServedError, ServedVersion, served_version

# Of fewer, nobody can say what is noise.
LEAST_TEXTS = 10
LEAST_GROUPS = 5
# What stands for a version in a list (`repository.figures.headline`).
MACRO_F1, ERROR = "macro_f1", "mean_absolute_error"


class GateError(ValueError):
    """Something that was given can't be used; the message is one sentence."""


class UnsureError(Exception):
    """The two cannot be compared; the message is the end of a sentence that says why."""


@dataclass(frozen=True)
class Candidate:
    """The model at the gate: its answers to the test texts."""

    labels: Sequence[str]
    task: ProblemType
    answers: Sequence[Target]


@dataclass(frozen=True)
class Verdict:
    """What the gate says."""

    passed: bool
    line: str


def judge(
    candidate: Path, data: Sequence[str], served: str | None, margin: float, repository: RepositorySettings
) -> Verdict:
    """Hold a model against a published version.

    Args:
        candidate: folder of a checkpoint or of an exported version.
        data: sources of its test texts.
        served: see `training.report.served.served_version`.
        margin: how much worse it may be, in the unit of the headline figure.
        repository: where versions are.

    Raises:
        UnsureError: they cannot be compared.
        GateError: the candidate cannot be asked.
        DataError: the data cannot be read.
        RepositoryError: the repository cannot be asked.
    """
    if not candidate.is_dir():
        raise GateError(f"there is no model in {candidate}: train one first")
    if served is None and not (history := open_history(repository)).numbers():
        return Verdict(True, f"no version of {history.model_name} is published yet.")
    record = SplitRecord.read(candidate)
    if record is None:
        raise UnsureError(f"{candidate} has no {SPLIT_FILE}, so nobody can say what it was tested on")
    examples = tested_on(record, data)
    try:
        with served_version(served) as version:
            return _compared(candidate, version, examples, record, margin)
    except ServedError as error:
        raise UnsureError(str(error).rstrip(".")) from None


def tested_on(record: SplitRecord, data: Sequence[str]) -> list[Example]:
    """Return the examples of some sources that a model was tested on, each once.

    Raises:
        DataError: one can't be read by the columns that the model was trained on.
    """
    columns = record.columns
    wanted = Wanted(columns.text, columns.label, columns.group)
    tables = [table for source in data for _, table in read_source(source, wanted)]
    found = [one for table in tables for one in read_examples(table, columns, record.task).examples]
    return [example for example in found if record.split_of(example) == "test"]


def _compared(
    candidate: Path, version: ServedVersion, examples: Sequence[Example], record: SplitRecord, margin: float
) -> Verdict:
    if version.manifest.problem_type is not record.task:
        kinds = f"{record.task.value}, {version.name} is {version.manifest.problem_type.value}"
        raise UnsureError(f"the model is {kinds}")
    new = [example for example in examples if not version.was_trained_on(example)]
    _check_enough(version, examples, new)
    asked = _ask(candidate, [example.text for example in new])
    if record.task is not ProblemType.REGRESSION and not set(asked.labels) & set(version.manifest.labels):
        raise UnsureError(f"{version.name} has none of the model's labels")
    theirs = version.ask([example.text for example in new]).answers
    notes = _notes(version, asked, len(examples) - len(new))
    return _verdict(version.name, new, asked, theirs, margin, notes)


def _check_enough(version: ServedVersion, examples: Sequence[Example], new: Sequence[Example]) -> None:
    groups = len({example.group for example in new})
    if len(new) >= LEAST_TEXTS and groups >= LEAST_GROUPS:
        return
    left = f", {len(examples) - len(new)} more were trained on by {version.name}" if len(new) < len(examples) else ""
    raise UnsureError(
        f"{len(new)} test texts in {groups} groups are new to both{left}; at least {LEAST_TEXTS} in {LEAST_GROUPS} are "
        "needed to tell noise from loss"
    )


def _ask(candidate: Path, texts: Sequence[str]) -> Candidate:
    """Ask the model at the gate; a checkpoint by PyTorch, a version by its graph."""
    if (candidate / MANIFEST_FILE).is_file():
        with served_version(str(candidate.absolute())) as exported:
            return Candidate(exported.manifest.labels, exported.manifest.problem_type, exported.ask(texts).answers)
    try:
        with Console(stderr=True).doing("Loading PyTorch…"):  # seconds, which nobody waits for where nothing is served
            loaded = open_checkpoint(candidate.absolute())
        logits = ask(loaded, texts)
    except UnusableError as error:
        raise GateError(str(error)) from None
    from training.figures.scores import answers_of

    return Candidate(loaded.labels, loaded.problem_type, answers_of(logits, loaded.labels, loaded.problem_type))


def _notes(version: ServedVersion, asked: Candidate, left_out: int) -> list[str]:
    notes = []
    if version.split is None:
        notes.append(f"nobody can say what {version.name} was trained on")
    elif left_out:
        notes.append(f"{left_out} test texts that it was trained on are left out")
    if asked.task is ProblemType.REGRESSION:
        return notes
    own, theirs = set(asked.labels), set(version.manifest.labels)
    for which, labels in (("new", own - theirs), ("gone", theirs - own)):
        if labels:
            notes.append(f"labels that are {which}: {shortened(', '.join(sorted(labels)))}")
    return notes


def _verdict(
    version: str,
    examples: Sequence[Example],
    asked: Candidate,
    theirs: Sequence[Target],
    margin: float,
    notes: Sequence[str],
) -> Verdict:
    from training.figures.intervals import paired_intervals
    from training.figures.scores import scores

    truth, groups = [example.target for example in examples], [example.group for example in examples]
    name = ERROR if asked.task is ProblemType.REGRESSION else MACRO_F1
    own, other = (scores(truth, answers, asked.task)[name] for answers in (asked.answers, theirs))
    difference = paired_intervals(truth, asked.answers, theirs, groups, asked.task)[name]
    # The end of the interval at which the model is at its best.
    best = -difference.low if name == ERROR else difference.high
    if math.isnan(best):
        raise UnsureError(f"no test text has a label, so that there is no {NAMES[name]}")
    value, low, high = (_shown(figure, "+") for figure in (difference.value, difference.low, difference.high))
    line = (
        f"{NAMES[name]} {_shown(own)} against {_shown(other)} of {version}, a difference of {value} [{low}, {high}] on "
        f"{len(examples)} test texts in {len(set(groups))} groups"
    )
    if not (passed := best >= -margin):
        line += f", worse beyond the noise and a margin of {margin:g}" if margin else ", worse beyond the noise"
    return Verdict(passed, f"{line} ({'; '.join(notes)})." if notes else f"{line}.")


def _shown(figure: float, sign: str = "") -> str:
    return f"{figure:{sign}.3f}" if abs(figure) < 100 else f"{figure:{sign}.4g}"
