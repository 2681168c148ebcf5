"""`python -m benchmarks gpu`: what this machine's card brings, in ten minutes."""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmarks.measure.machine import this_machine
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.tuning import Setting, Trial, pareto_front, try_settings
from benchmarks.options import PricePerHour, errors
from benchmarks.report.cost import Price
from benchmarks.report.render import tuning_table
from benchmarks.report.results import ResultFolder
from export import ExportError
from launcher.settings import LauncherSettings
from repository.cards import Card, found_card
from repository.config import ModelConfig
from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, USER_MISTAKE, fail
from repository.spelling import as_called
from repository.store import ModelStore
from training import SAMPLE_DATA

if TYPE_CHECKING:  # it imports PyTorch and transformers, which take seconds
    from benchmarks.measure.gpu.run import Deadline

P99_MS = 400
# A card that a rehearsal pretends to have: small, so that its calls are small.
REHEARSED = Card("a rehearsal on the CPU, no card", 2, 1, 0.1, 10)
START_S = 10.0
"""About how long a service takes to start and stop."""

out = Console()


def gpu(
    checkpoint: Annotated[
        Path | None, typer.Option(help="What the graphs are made of (default: CHECKPOINT, as of `make up`).")
    ] = None,
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    minutes: Annotated[float, typer.Option(min=0.1, help="What does not fit any more is left out.")] = 10,
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds, at most; the figures are their medians.")] = 10,
    sentences: Annotated[int, typer.Option(min=64, help="Sentences of a round.")] = 4096,
    connections: Annotated[int, typer.Option(min=1, help="Callers at a time, of the served model.")] = 512,
    served: Annotated[bool, typer.Option(help="Serve the model as well, with more than one instance_group.")] = True,
    results: Annotated[Path, typer.Option(help="Folder in which a new one is made.")] = Path("benchmarks/results"),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="The same plan on the CPU with a tiny model: does the command work here?")
    ] = False,
    price_per_hour: PricePerHour = None,
) -> None:
    """What this machine's NVIDIA card brings, in ten minutes: fp32, fp16, TensorRT, padded beside packed.

    Graphs of one checkpoint on ONNX Runtime alone, in calls of a quarter, once and four times the tokens that the
    table of cards begins with, joined by length and as they came; TensorRT with a profile of the sentences' lengths.
    Then the service, with one and two instances and as many tokens. Exit status 1 where no card serves.
    """
    card = REHEARSED if dry_run else _card()
    from benchmarks.measure.gpu.run import Deadline
    from benchmarks.measure.memory import write_small_checkpoint

    deadline = Deadline(60 * minutes)
    interrupted = False
    with tempfile.TemporaryDirectory(prefix="gpu-") as temporary:
        scratch = Path(temporary)
        source = write_small_checkpoint(scratch / "tiny") if dry_run else checkpoint or LauncherSettings().checkpoint
        if not (source / "config.json").is_file():
            fail(f"{source} holds no checkpoint: {as_called('run `make train`')}, or name one by --checkpoint.")
        texts = load_sentences(data, sentences)
        folder = ResultFolder.create(results, this_machine())
        errors.print(f"{card.name}: at most {minutes:g} minutes; results go to {folder.folder}.")
        try:
            _graphs(source, texts, card, rounds, deadline, folder, scratch, price_per_hour, on_cpu=dry_run)
            if served:
                _served(source, data, texts, card, connections, deadline, folder, scratch, price_per_hour)
        except KeyboardInterrupt:
            interrupted = True
        except ExportError as error:
            errors.error(error)
            raise typer.Exit(USER_MISTAKE) from None
    _show(folder, interrupted)


def _show(folder: ResultFolder, interrupted: bool) -> None:
    report = folder.folder / "report.md"
    if report.is_file():
        out.page(report.read_text(encoding="utf-8"))
    if interrupted:
        errors.print("Interrupted: that is what there was until then.")
        raise typer.Exit(INTERRUPTED)


def _card() -> Card:
    """The card, if ONNX Runtime computes on it; ends the program where it does not."""
    found = found_card()
    if found is None:
        fail("no NVIDIA card here: nothing to measure. --dry-run rehearses on the CPU.", FAILED)
    from export.precision.formats import cuda_serves

    if not cuda_serves():
        fail(
            f"{found.name} is here, but ONNX Runtime does not compute on it: install its CUDA build "
            "(make tools ACCELERATOR=gpu) and a driver for it.",
            FAILED,
        )
    return found


def _graphs(
    source: Path,
    texts: Sequence[str],
    card: Card,
    rounds: int,
    deadline: "Deadline",
    folder: ResultFolder,
    scratch: Path,
    price: Price | None,
    *,
    on_cpu: bool,
) -> None:
    from benchmarks.measure.gpu.graphs import open_sessions, write_graphs
    from benchmarks.measure.gpu.plan import plan
    from benchmarks.measure.gpu.run import Deadline, measure_cases
    from benchmarks.report.gpu import gpu_table
    from export.checkpoint.load import load_checkpoint
    from export.parity.measure import encode

    loaded = load_checkpoint(str(source))
    ids = [row for row in (encode(loaded, text) for text in texts) if row]
    cases = plan(card, on_cpu)
    made = scratch / "graphs"
    made.mkdir()
    paths = write_graphs(loaded, cases, ids, made, errors.print)
    lengths = list(map(len, ids))
    sessions = open_sessions(paths, cases, lengths, card, errors.print)
    agreement: dict[str, float] = {}
    try:
        # The service gets the other half of what is left.
        half = Deadline(deadline.left_s / 2)
        agreement = measure_cases(
            cases, sessions, ids, loaded.pad_token_id, card.batch_sentences, rounds, half, errors.print
        )
    finally:
        mean = sum(lengths) / len(lengths)
        table = gpu_table(cases, agreement, card, mean, price)
        raw = {"card": card.name, "mean_tokens": mean, "agreement": agreement, "cases": [c.as_dict() for c in cases]}
        folder.add("gpu", raw, table)


def served_settings(card: Card) -> list[Setting]:
    """One and more instances, a quarter, once and four times the tokens; most likely ones first."""
    most = card.batch_sentences
    tokens = [card.batch_tokens, card.batch_tokens // 4, card.batch_tokens * 4]
    return [
        Setting(instances, 0, most, 0, instances + 1, each, most)
        for each in tokens
        for instances in dict.fromkeys((card.instances, 1, 2))
    ]


def _served(
    source: Path,
    data: Path,
    texts: Sequence[str],
    card: Card,
    connections: int,
    deadline: "Deadline",
    folder: ResultFolder,
    scratch: Path,
    price: Price | None,
) -> None:
    if deadline.left_s < START_S:
        errors.print("The time is over: the service was not measured.")
        return
    errors.print("export for the service")
    options = ["--precision", "auto", "--output", str(scratch / "version"), "--data", str(data)]
    done = subprocess.run([sys.executable, "-m", "export", str(source), *options], capture_output=True, text=True)
    if done.returncode:
        raise ExportError((done.stderr.strip().splitlines() or ["the export failed"])[-1].removeprefix("Error: "))
    store = ModelStore(scratch / "repository", "classifier")
    store.folder.mkdir(parents=True)
    store.ensure_config(ModelConfig(store.model_name).to_pbtxt())
    number = store.publish(scratch / "version")
    trials: list[Trial] = []
    settings = served_settings(card)[: 1 if card is REHEARSED else None]
    try:
        for place, setting in enumerate(settings):
            left = deadline.left_s / (len(settings) - place) - START_S
            if left < 1:
                errors.print(f"The time is over: {place} of {len(settings)} settings.")
                break
            seconds = 1.0 if card is REHEARSED else min(10.0, left)
            trials += try_settings(store, number, [setting], texts, connections, seconds, errors.print)
    finally:
        table = tuning_table(trials, pareto_front(trials), P99_MS, price)
        folder.add("served", [trial.as_dict() for trial in trials], table)
