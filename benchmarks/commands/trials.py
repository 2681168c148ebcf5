"""`python -m benchmarks trials`: do shadow, canary, promotion and feedback cost an answer, or make one wrong?"""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure.machine import this_machine
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.service import ServiceError
from benchmarks.measure.trials.run import Extent, StepError, Trials, run_trials
from benchmarks.options import errors, published
from benchmarks.report.promises import promises_of, told
from benchmarks.report.results import ResultFolder
from benchmarks.report.tables import ResultTable
from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED
from training import SAMPLE_DATA

MOST_RATIO = 1.15
"""Of p99 at half load with a candidate over that without."""

out = Console()


def trials(
    minutes: Annotated[float, typer.Option(min=0.1, help="Over which trial follows trial; then half load.")] = 8,
    connections: Annotated[int, typer.Option(min=1, help="Callers at a time.")] = 64,
    sentences: Annotated[int, typer.Option(min=1, help="Different sentences that are asked.")] = 1024,
    data: Annotated[Path, typer.Option(help="Where they are from.")] = SAMPLE_DATA,
    promises: Annotated[Path | None, typer.Option(help="What is promised (default: deploy/slo.yaml).")] = None,
    results: Annotated[Path, typer.Option(help="Folder in which a new one is made.")] = Path("benchmarks/results"),
) -> None:
    """Try candidates under load: shadow, canary, promotion by rule and by hand, rejection, swaps, feedback.

    The published model is asked without pause; every answer is held against what the version that its header names
    answers in ONNX Runtime alone. Then p99 at half of that load, with a candidate and without, in alternating pairs.
    Nothing is written to the model's own repository. What was measured is held against what is promised, a line each.
    Exit status 1: an answer was wrong or missing, a trial did not end as it had to, p99 with a candidate is more than
    1.15 times that without, or a promise was missed.
    """
    tried, promised = published(), promises_of(promises)
    folder = ResultFolder.create(results, this_machine())
    errors.print(f"Trials over {minutes:g} minutes, then half load; results go to {folder.folder}.")
    found, interrupted = Trials(), False
    try:
        with tempfile.TemporaryDirectory(prefix="trials-") as temporary:
            extent = Extent(60 * minutes, connections)
            run_trials(found, tried, load_sentences(data, sentences), Path(temporary), extent, errors.print)
    except KeyboardInterrupt:
        interrupted = True
    except ServiceError as error:
        found.problem = f"the service did not start: {error}"
    except StepError as error:
        found.problem = str(error)
    failures = [*found.failures(), *_too_slow(found)]
    folder.add("trials", _raw(found, failures), trials_table(found))
    out.page((folder.folder / "report.md").read_text(encoding="utf-8"))
    for failure in failures:
        errors.print(failure)
    missed = [verdict for verdict in told(promised, found.figures(), out.print) if not verdict.is_kept]
    if interrupted:
        errors.print("Interrupted: that is what there was until then.")
        raise typer.Exit(INTERRUPTED)
    if failures or missed:
        raise typer.Exit(FAILED)


def _too_slow(found: Trials) -> list[str]:
    if found.half_load is None or found.half_load.ratio <= MOST_RATIO:
        return []
    return [f"p99 with a candidate is {found.half_load.ratio:.2f} times that without, {MOST_RATIO} is allowed"]


def _raw(found: Trials, failures: list[str]) -> dict[str, object]:
    half = found.half_load
    return {
        "rounds": found.rounds,
        "seconds": found.seconds,
        "steps": found.steps,
        "texts": found.counts.texts,
        "wrong": found.counts.wrong,
        "failed": found.counts.failed,
        "problems": found.counts.problems,
        "feedback": found.feedback.taken,
        "feedback_failed": found.feedback.failed[:50],
        "half_load": None if half is None else {**vars(half), "ratio": half.ratio},
        "failures": failures,
    }


def trials_table(found: Trials) -> ResultTable:
    """What came out how often, and in the note what came back and what it cost."""
    rows = [[what, str(count)] for what, count in found.steps.items()]
    counts, half = found.counts, found.half_load
    note = (
        f"{found.rounds} rounds in {found.seconds:.0f} s; {counts.texts} texts asked, {counts.wrong} answers wrong, "
        f"{counts.failed} failed; feedback to {found.feedback.taken} answers, {len(found.feedback.failed)} not taken."
    )
    if half is not None:
        plain, shadow = (" / ".join(f"{ms:.0f}" for ms in each) for each in (half.without_p99_ms, half.with_p99_ms))
        note += (
            f" At {half.rate:.0f} requests a second, p99 without a candidate {plain} ms, with one {shadow} ms (in "
            f"pairs): {half.ratio:.2f} times as long in the median; {half.mirrored} sentences were mirrored."
        )
    return ResultTable("Trials under load", ("a version was", "times"), rows, note)
