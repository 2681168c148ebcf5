"""`python -m benchmarks tune`."""

import os
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.measure.machine import this_machine
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.tuning import (
    START_S,
    Grid,
    Setting,
    Trial,
    best_within,
    confirm_within,
    current_setting,
    gain,
    pareto_front,
    try_settings,
)
from benchmarks.options import errors, numbers, published
from benchmarks.report.render import tuning_table
from benchmarks.report.results import ResultFolder
from repository.console import Console
from repository.strict_json import strict_json
from training import SAMPLE_DATA

# Less gain than this, and what is in force may stay.
WORTHWHILE = 1.03

out = Console()


def tune(
    p99_ms: Annotated[float, typer.Option(min=1, help="Latency budget: the 99th percentile, in ms.")] = 400,
    connections: Annotated[int, typer.Option(min=1, help="Callers at a time.")] = 64,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of a trial.")] = 4,
    confirm: Annotated[int, typer.Option(min=0, help="Rounds of the best beside what is in force now.")] = 3,
    instances: Annotated[str, typer.Option(help="Copies of the model in Triton to try, with commas.")] = "1,2",
    threads: Annotated[str, typer.Option(help="Threads of an execution to try; 0: the backend's choice.")] = "0,1",
    max_batch_sizes: Annotated[str, typer.Option(help="Most sentences of an execution to try.")] = "64",
    queue_delays_us: Annotated[str, typer.Option(help="Triton's queue delays to try, in microseconds.")] = "0",
    triton_calls: Annotated[str, typer.Option(help="TRITON_CALLS of the gateway to try.")] = "2,3,4",
    batch_tokens: Annotated[str, typer.Option(help="BATCH_TOKENS of the gateway to try.")] = "128,256,512",
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    results: Annotated[Path, typer.Option(help="Folder in which a new one is made.")] = Path("benchmarks/results"),
) -> None:
    """Try settings of Triton and the gateway on this machine; the best within a latency budget, ready to paste.

    Every value is tried with every other, each time with a service of its own over the published model; the model
    repository stays as it is. The best is then measured beside what is in force now, in turns, so that a lucky trial
    is found out; one that misses the budget then makes room for the next. A report and a plot of throughput against
    latency are left in the results. Ctrl-C keeps what was tried so far.
    """
    store, number = published()
    given = (instances, threads, max_batch_sizes, queue_delays_us, triton_calls, batch_tokens)
    lists = [numbers(text, least=0) for text in given]
    settings = Grid(*lists).settings()
    texts = load_sentences(data, 4096)
    minutes = (len(settings) + 2 * confirm) * (seconds + START_S) / 60
    folder = ResultFolder.create(results, this_machine())
    errors.print(f"{len(settings)} settings, about {minutes:.0f} minutes; results go to {folder.folder}.")

    def measure(chosen: list[Setting]) -> list[Trial]:
        return list(try_settings(store, number, chosen, texts, connections, seconds, errors.print))

    trials: list[Trial] = []
    for trial in try_settings(store, number, settings, texts, connections, seconds, errors.print):
        trials.append(trial)
        (folder.folder / "trials.json").write_text(strict_json([trial.as_dict() for trial in trials], indent=2) + "\n")
    best = best_within(trials, p99_ms)
    folder.add("tune", [trial.as_dict() for trial in trials], tuning_table(trials, pareto_front(trials), p99_ms))
    _plot(folder, trials, p99_ms)
    out.page((folder.folder / "report.md").read_text(encoding="utf-8"))
    if best is None:
        errors.print(
            f"No setting answers 99 % of requests within {p99_ms:g} ms: raise --p99-ms, or lower --connections."
        )
        raise typer.Exit(1)
    current = current_setting(store, dict(os.environ))
    out.print(f"Best within {p99_ms:g} ms: {best.setting}")
    if not confirm:
        _recommend(folder, best.setting, "not confirmed")
        return
    for again in confirm_within(trials, p99_ms, current, confirm, measure):
        found = gain(again.ratios)
        out.print(f"{again.setting} beside what is in force now ({current}): {found}")
        if again.p99_ms > p99_ms:
            out.print(f"Its p99 was {again.p99_ms:.0f} ms this time, past the {p99_ms:g}: not taken.")
            continue
        if again.ratios and median(again.ratios) >= WORTHWHILE:
            _recommend(folder, again.setting, found)
            return
        break
    out.print("Not worth a change: nothing that keeps the budget a second time is faster than what is in force now.")


def _recommend(folder: ResultFolder, setting: Setting, found: str) -> None:
    (folder.folder / "best.sh").write_text(f"# {found}\n{setting.commands}\n")
    out.page(setting.commands)


def _plot(folder: ResultFolder, trials: list[Trial], p99_ms: float) -> None:
    from benchmarks.report.plots import plot_tuning

    plot_tuning(trials, pareto_front(trials), p99_ms, folder.plot_path("tune"))
    folder.write()
