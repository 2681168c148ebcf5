"""`python -m benchmarks precision`: versions of a model in one table, speed beside what a user loses."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from benchmarks.commands.precision_options import PrecisionOptions
from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.machine import this_machine
from benchmarks.measure.sentences import load_sentences
from benchmarks.options import errors
from benchmarks.report.results import ResultFolder
from launcher.settings import LauncherSettings
from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, fail
from repository.manifest import Precision, RepositoryError
from repository.option_class import takes_option_class
from repository.settings import RepositorySettings
from repository.store import ModelStore
from repository.strict_json import strict_json

if TYPE_CHECKING:  # it imports PyTorch and transformers, which take seconds
    from benchmarks.measure.versions.quality import Reference
    from benchmarks.measure.versions.row import Row

LOAD_SENTENCES = 2048
START_S = 8.0
"""About how long a service takes to start and stop."""

out = Console()


@takes_option_class
def precision(given: PrecisionOptions) -> None:
    """Several versions or checkpoints in one table: precisions, students, a cascade; speed beside what a user loses.

    Sentences a second in batches of 32 (ONNX Runtime alone), GET over many connections and over one (the service),
    accuracy and macro-F1 with intervals over groups, how often PyTorch's answer is kept, confident changes, drift,
    size and memory. Every round measures each version, one right after the other, so that a busy machine disturbs all
    alike. Without --version and --checkpoint, the newest published version. Ctrl-C keeps what was measured so far.

    Exit status 1: a version could not be exported or served; its row says why.
    """
    store, precisions = ModelStore.from_settings(RepositorySettings()), given.chosen_precisions()
    if not (given.version or given.checkpoint) and not store.numbers():
        fail(f"{store.folder} holds no version: give --version FOLDER or --checkpoint PATH.")
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="versions-") as temporary:
        try:
            rows = _rows(given, store, precisions, Path(temporary))
            reference = _reference(given, rows)
        except (BenchmarkError, RepositoryError) as error:
            fail(error)
        results = ResultFolder.create(given.results, this_machine())
        errors.print(f"About {_minutes(given, rows):.0f} minutes; results go to {results.folder}.")
        try:
            _measure(given, rows, reference, results)
        except KeyboardInterrupt:
            interrupted = True
        except (BenchmarkError, RepositoryError) as error:
            errors.error(error)
            raise typer.Exit(FAILED) from None
        finally:
            _write(given, rows, reference, results)
    out.page((results.folder / "report.md").read_text(encoding="utf-8"))
    if interrupted:
        errors.print("Interrupted: that is what there was until then.")
        raise typer.Exit(INTERRUPTED)
    if any(row.note or row.problem for row in rows):
        raise typer.Exit(FAILED)


def _rows(given: PrecisionOptions, store: ModelStore, precisions: Sequence[Precision], scratch: Path) -> "list[Row]":
    from benchmarks.measure.versions.sources import exported_row, named, published_row

    rows: list[Row] = []
    versions = given.version or ([] if given.checkpoint else [str(store.numbers()[-1])])
    for text in versions:
        rows.append(published_row(text, store, [row.name for row in rows]))
    for text in given.checkpoint or ():
        name, path = named(text)
        for each in precisions:
            unique, _ = named(f"{name} {each.value}={path}", [row.name for row in rows])
            folder = scratch / f"{len(rows)}-{each.value}"
            rows.append(exported_row(unique, path, each, given.data, folder, errors.print))
    return rows


def _reference(given: PrecisionOptions, rows: "Sequence[Row]") -> "Reference":
    from benchmarks.measure.versions.quality import read_reference
    from benchmarks.measure.versions.sources import named

    checkpoints = [Path(named(text)[1]) for text in given.checkpoint or ()]
    chosen = given.reference or next(iter(checkpoints), LauncherSettings().checkpoint)
    if not (chosen / "config.json").is_file() and not (chosen / "adapter_config.json").is_file():
        raise BenchmarkError(f"{chosen} is no checkpoint: name the one that answers are held against by --reference")
    errors.print(f"{chosen}: asking PyTorch")
    return read_reference(chosen, given.data, [*checkpoints, *(row.folder for row in rows if row.folder)])


def _minutes(given: PrecisionOptions, rows: "Sequence[Row]") -> float:
    each = START_S + 2 * given.seconds if given.served else 0.0
    return given.rounds * len(rows) * (each + 3) / 60


def _measure(given: PrecisionOptions, rows: "Sequence[Row]", reference: "Reference", results: ResultFolder) -> None:
    from benchmarks.measure.versions.quality import judge
    from benchmarks.measure.versions.speed import Loads, measure_graphs, measure_served

    measure_graphs(rows, load_sentences(given.data, given.sentences), given.rounds, errors.print)
    _keep(rows, results)
    if not given.served:
        return
    loads = Loads(given.rounds, given.seconds, given.connections)
    sentences = load_sentences(given.data, LOAD_SENTENCES)
    try:
        measure_served(rows, sentences, reference.texts, reference.labels, loads, errors.print)
    finally:
        for row in rows:
            judge(row, reference)


def _keep(rows: "Sequence[Row]", results: ResultFolder) -> None:
    """On the disk before the next measurement begins."""
    raw = strict_json([row.as_dict() for row in rows], indent=2)
    (results.folder / "versions.json").write_text(raw + "\n", encoding="utf-8")


def _write(given: PrecisionOptions, rows: "Sequence[Row]", reference: "Reference", results: ResultFolder) -> None:
    from benchmarks.measure.versions.quality import pytorch_row
    from benchmarks.report.versions import versions_table

    _keep(rows, results)
    everything = [pytorch_row(reference), *rows]
    table = versions_table(everything, reference, given.connections, given.price_per_hour)
    results.add("versions", [row.as_dict() for row in everything], table)
