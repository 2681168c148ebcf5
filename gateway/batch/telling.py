"""What does a person see of a run? A bar with rows, pace and the time left, and at the end what became of the rows."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.batch.job import Job, Progress, Report
from gateway.batch.json_lines import JsonLinesReader
from gateway.batch.run import Run
from repository.console import Console

TOLD_EVERY_S = 60.0
"""How often a run says where it is where nobody watches a bar."""
_STEPS = 1000
_PACE_S = 10.0
"""Over how long the pace is measured that is shown."""


@contextmanager
def shown_progress(console: Console) -> Iterator[Report]:
    """Show a run; yields what is to be told of each chunk."""
    began = told_at = time.monotonic()
    marks: list[tuple[float, int]] = [(began, 0)]
    shown = 0
    with console.progress("Scoring", _STEPS, remaining=True, transient=True) as move:

        def report(progress: Progress) -> None:
            nonlocal shown, told_at
            now = time.monotonic()
            marks.append((now, progress.rows))
            while len(marks) > 2 and now - marks[1][0] > _PACE_S:
                marks.pop(0)
            pace = (progress.rows - marks[0][1]) / max(1e-9, now - marks[0][0])
            line = f"{progress.counts.rows + progress.counts.skipped:,} rows, {pace:,.0f}/s"
            steps = shown if progress.share is None else int(_STEPS * progress.share)
            move(steps - shown, line)
            shown = steps
            if not console.is_terminal and now - told_at > TOLD_EVERY_S:
                told_at = now
                console.print(line if progress.share is None else f"{line}, {progress.share:.0%} of what was missing")

        yield report


def learn(console: Console, reader: JsonLinesReader, job: Job) -> None:
    """Let a file of JSON Lines be read through for its columns."""
    with console.progress(f"Columns of {job.source.name}", job.source.stat().st_size, transient=True) as move:
        done = 0

        def report(read: int) -> None:
            nonlocal done
            move(read - done)
            done = read

        reader.learn(report)


def summary(run: Run, job: Job) -> list[str]:
    """Return what became of the rows, a line each."""
    state = run.state
    assert state is not None
    counts = state.counts
    number, model = state.run["version"]["number"], run.model_name
    scored = counts.rows - run.begun_with
    pace = f" ({scored / run.seconds:,.0f} rows/s)" if run.seconds and scored else ""
    found = [f"{_rows(counts.rows)} in {job.output}, scored by version {number} of {model}{pace}."]
    if counts.cut:
        limit = f"the {run.max_length} tokens" if run.max_length else "the tokens"
        found.append(f"{_rows(counts.cut)} had more than {limit} that the model reads: cut.")
    if counts.windowed:
        found.append(f"{_rows(counts.windowed)} had more than the model reads at once: read in windows, none cut.")
    if counts.empty:
        found.append(f"{_rows(counts.empty)} without a text, or with no sign that the model knows: no answer.")
    if counts.skipped:
        found.append(f"{_rows(counts.skipped)} skipped: {job.skipped} says which and why.")
    return found


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count != 1 else ''}"
