"""`python -m benchmarks soak`: does memory creep, or an answer go wrong, while versions are swapped under load?"""

import statistics
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.measure.machine import this_machine
from benchmarks.measure.service import ServiceError
from benchmarks.measure.soak.memory import MOST_CHANGE, MOST_GROWTH, Level, levels
from benchmarks.measure.soak.run import Extent, Soak, run_soak
from benchmarks.measure.soak.versions import KINDS
from benchmarks.options import errors
from benchmarks.report.promises import promises_of, told
from benchmarks.report.results import ResultFolder
from benchmarks.report.tables import ResultTable
from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED

out = Console()


def soak(
    minutes: Annotated[float, typer.Option(min=0.1, help="Over which the swaps are spread.")] = 10,
    swaps: Annotated[int, typer.Option(min=1, help="Versions that are published, one after the other.")] = 200,
    connections: Annotated[int, typer.Option(min=1, help="Callers at a time.")] = 32,
    texts: Annotated[int, typer.Option(min=1, help="Fewest texts; it goes on until they were asked.")] = 20_000,
    kills: Annotated[int, typer.Option(min=0, help="Of Triton, and of the gateway, once the load is over.")] = 2,
    promises: Annotated[Path | None, typer.Option(help="What is promised (default: deploy/slo.yaml).")] = None,
    results: Annotated[Path, typer.Option(help="Folder in which a new one is made.")] = Path("benchmarks/results"),
) -> None:
    """Swap versions under load, check every answer, and watch what gateway, Triton and its backend take in memory.

    Four models with random weights take turns, one of them with a tokenizer of 250,000 pieces; nothing is downloaded.
    Every answer is held against what the version that its header names answers in ONNX Runtime alone. Then Triton and
    the gateway are killed. What was measured is held against what is promised, a line each. Exit status 1: an answer
    was wrong or missing, memory crept, or a promise was missed. Ctrl-C shows what there was until then. A swap takes
    some 3 s at least on two cores, so that a shorter time than that for each makes the run longer.
    """
    promised = promises_of(promises)
    folder = ResultFolder.create(results, this_machine())
    errors.print(f"{swaps} swaps in about {minutes:g} minutes; results go to {folder.folder}.")
    found = Soak()
    interrupted = False
    try:
        with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
            extent = Extent(swaps, 60 * minutes, connections, texts, kills)
            run_soak(found, Path(temporary), extent, errors.print)
    except KeyboardInterrupt:
        interrupted = True
    except ServiceError as error:
        found.problem = f"the service did not come up: {error}"
    _write(folder, found)
    out.page((folder.folder / "report.md").read_text(encoding="utf-8"))
    for failure in found.failures():
        errors.print(failure)
    missed = [verdict for verdict in told(promised, found.figures(), out.print) if not verdict.is_kept]
    if interrupted:
        errors.print("Interrupted: that is what there was until then.")
        raise typer.Exit(INTERRUPTED)
    if found.failures() or missed:
        raise typer.Exit(FAILED)


def _write(folder: ResultFolder, found: Soak) -> None:
    samples = found.memory.samples if found.memory else []
    raw = {
        "swaps": found.swaps,
        "seconds": found.seconds,
        "texts": found.counts.texts,
        "wrong": found.counts.wrong,
        "failed": found.counts.failed,
        "p99_ms": found.p99_ms,
        "slowest_ms": found.slowest_ms,
        "swap_s": found.swap_s,
        "recovery_s": found.recovery_s,
        "problems": found.counts.problems,
        "failures": found.failures(),
        "samples": found.memory.as_dicts() if found.memory else [],
    }
    folder.add("soak", raw, soak_table(found, levels(samples, len(KINDS))))
    if samples:
        from benchmarks.report.plots import plot_memory

        plot_memory(samples, folder.plot_path("memory"))
        folder.write()


def soak_table(found: Soak, parts: list[Level]) -> ResultTable:
    """What each part took, and in the note what came back."""
    rows = [
        [
            part.part,
            *(f"{taken:.0f} MB" for taken in (part.after_second_mb, part.most_mb)),
            *("" if taken is None else f"{taken:.0f} MB" for taken in (part.first_half_mb, part.second_half_mb)),
            "" if part.change is None else f"{part.change:+.1%}",
            f"{part.peak_mb:.0f} MB",
            "; ".join(part.failures) or "yes",
        ]
        for part in parts
    ]
    columns = (
        "",
        "after swap 2",
        "most after a swap",
        "first half",
        "second half",
        "change",
        "peak of a process",
        "held",
    )
    counts = found.counts
    note = (
        f"{found.swaps} swaps in {found.seconds:.0f} s; {counts.texts} texts asked, {counts.wrong} answers wrong, "
        f"{counts.failed} failed; p99 {found.p99_ms:.0f} ms, slowest {found.slowest_ms:.0f} ms. {_times(found)}"
        "Resident memory, all processes of a part together, at the end of each half: at most "
        f"{MOST_CHANGE:.0%} more after the second; the gateway after any swap at most {MOST_GROWTH:.0%} more than "
        "after the second, by which the largest tokenizer is loaded. Peak: of one process at any moment, with a "
        "version being read while another answers."
    )
    return ResultTable("Memory while versions are swapped under load", columns, rows, note)


def _times(found: Soak) -> str:
    told_times = {
        "From a publish to the version's first answer": found.swap_s,
        "From a kill of Triton or the gateway to the next answer": found.recovery_s,
    }
    return "".join(
        f"{what}: {statistics.median(seconds):.1f} s in the median, {max(seconds):.1f} s at most. "
        for what, seconds in told_times.items()
        if seconds
    )
