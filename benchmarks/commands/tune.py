"""`python -m benchmarks tune`."""

import os
from collections.abc import Callable, Iterator, Sequence
from statistics import median

import typer

from benchmarks.commands.tune_options import TuneOptions
from benchmarks.measure.machine import this_machine
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.tuning import (
    Setting,
    Trial,
    best_within,
    confirm_within,
    current_setting,
    gain,
    pareto_front,
    try_settings,
)
from benchmarks.options import errors, published
from benchmarks.report.render import tuning_table
from benchmarks.report.results import ResultFolder
from repository.console import Console
from repository.exit_status import FAILED
from repository.option_class import takes_option_class
from repository.strict_json import strict_json

# Less gain than this, and what is in force may stay.
WORTHWHILE = 1.03

Measure = Callable[[Sequence[Setting]], Iterator[Trial]]

out = Console()


@takes_option_class
def tune(given: TuneOptions) -> None:
    """Try settings of Triton and the gateway on this machine; the best within a latency budget, ready to paste.

    Every value is tried with every other, each time with a service of its own over the published model; the model
    repository stays as it is. The best is then measured beside what is in force now, in turns, so that a lucky trial
    is found out; one that misses the budget then makes room for the next. A report and a plot of throughput against
    latency are left in the results. Ctrl-C keeps what was tried so far.
    """
    store, number = published()
    settings = given.settings()
    texts = load_sentences(given.data, 4096)
    folder = ResultFolder.create(given.results, this_machine())
    minutes = given.minutes(len(settings))
    errors.print(f"{len(settings)} settings, about {minutes:.0f} minutes; results go to {folder.folder}.")

    def measure(chosen: Sequence[Setting]) -> Iterator[Trial]:
        return try_settings(store, number, chosen, texts, given.connections, given.seconds, errors.print)

    trials = _tried(settings, measure, folder)
    _report(trials, given, folder)
    best = best_within(trials, given.p99_ms)
    if best is None:
        errors.print(
            f"No setting answers 99 % of requests within {given.p99_ms:g} ms: raise --p99-ms, or lower --connections."
        )
        raise typer.Exit(FAILED)
    current = current_setting(store, dict(os.environ))
    out.print(f"Best within {given.p99_ms:g} ms: {best.setting}")
    if given.confirm:
        _confirm(trials, given, current, measure, folder)
    else:
        _recommend(folder, best.setting, "not confirmed")


def _tried(settings: Sequence[Setting], measure: Measure, folder: ResultFolder) -> list[Trial]:
    """Measure each; what was tried is on the disk before the next begins."""
    trials: list[Trial] = []
    for trial in measure(settings):
        trials.append(trial)
        (folder.folder / "trials.json").write_text(strict_json([trial.as_dict() for trial in trials], indent=2) + "\n")
    return trials


def _report(trials: Sequence[Trial], given: TuneOptions, folder: ResultFolder) -> None:
    from benchmarks.report.plots import plot_tuning

    front = pareto_front(trials)
    table = tuning_table(trials, front, given.p99_ms, given.price_per_hour)
    folder.add("tune", [trial.as_dict() for trial in trials], table)
    plot_tuning(trials, front, given.p99_ms, folder.plot_path("tune"))
    folder.write()
    out.page((folder.folder / "report.md").read_text(encoding="utf-8"))


def _confirm(
    trials: Sequence[Trial], given: TuneOptions, current: Setting, measure: Measure, folder: ResultFolder
) -> None:
    """Measure the best beside what is in force, in turns; recommend it if it is faster and keeps the budget again."""
    confirmed = confirm_within(trials, given.p99_ms, current, given.confirm, lambda chosen: list(measure(chosen)))
    for again in confirmed:
        found = gain(again.ratios)
        out.print(f"{again.setting} beside what is in force now ({current}): {found}")
        if again.p99_ms > given.p99_ms:
            out.print(f"Its p99 was {again.p99_ms:.0f} ms this time, past the {given.p99_ms:g}: not taken.")
            continue
        if again.ratios and median(again.ratios) >= WORTHWHILE:
            _recommend(folder, again.setting, found)
            return
        break
    out.print("Not worth a change: nothing that keeps the budget a second time is faster than what is in force now.")


def _recommend(folder: ResultFolder, setting: Setting, found: str) -> None:
    (folder.folder / "best.sh").write_text(f"# {found}\n{setting.commands}\n")
    out.page(setting.commands)
