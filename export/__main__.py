"""`python -m export`: a Hugging Face checkpoint in, a version folder for the model repository out."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from export import ExportError
from repository.manifest import MANIFEST_FILE, Precision
from training import SAMPLE_DATA

app = typer.Typer(pretty_exceptions_enable=False)
out = Console()
errors = Console(stderr=True, soft_wrap=True, highlight=False)


class PrecisionChoice(StrEnum):
    """Values of `--precision`."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


@app.command()
def export(
    checkpoint: Annotated[
        str,
        typer.Argument(
            help="Folder of a fine-tuned sequence classifier (or of a LoRA adapter, or of a model that MLflow logged), "
            "or its id on the Hugging Face hub."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Version folder to write; an older one is replaced.")] = Path(
        "exports/classifier"
    ),
    precision: Annotated[
        PrecisionChoice,
        typer.Option(
            help="Number format of the graph. [bold]auto[/bold]: fp16 where CUDA serves, else int8 if it agrees with "
            "PyTorch on 99 % of labels, none of which changes with padding or batching, and macro-F1 falls by at most "
            "0.005; else fp32."
        ),
    ] = PrecisionChoice.AUTO,
    data: Annotated[
        Path,
        typer.Option(
            help="Sentences to compare on: a CSV as for training (its test split; true labels are used if they are "
            "the checkpoint's), or a .txt file with one sentence a line."
        ),
    ] = SAMPLE_DATA,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the Python code that the checkpoint brings along.")
    ] = False,
) -> None:
    """Turn a checkpoint into an optimized ONNX graph that answers as PyTorch does.

    The version folder holds model.onnx, tokenizer.json and manifest.json. Publish it with
    [bold]python -m repository publish FOLDER[/bold]. An export that is outside its precision's tolerance is refused.
    """
    if output.exists() and not (output / MANIFEST_FILE).is_file():
        raise ExportError(f"{output} exists and is no version folder: give another --output")
    if not data.is_file():
        raise ExportError(f"{data} does not exist: give --data a CSV or a .txt file of real sentences")
    with out.status("Loading PyTorch…"):
        from export.build import build_version
        from export.checkpoint import load_checkpoint
        from export.parity import reference_answers
        from export.precision import cuda_serves
        from export.sentences import load_sentences

        loaded = load_checkpoint(checkpoint, trust_remote_code)
    sentences, truth = load_sentences(data, loaded.labels)
    if truth is None:
        out.print(f"{data} has no true labels for this checkpoint: accuracy is not measured.")
    with _step("Asking PyTorch", len(sentences)) as advance:
        reference = reference_answers(loaded, sentences, truth, advance)
    wanted = None if precision is PrecisionChoice.AUTO else Precision(precision.value)
    manifest, candidates = build_version(loaded, wanted, reference, output, _step)
    table = Table("", "largest logit difference", "labels agree", "flips when padded", "macro-F1", "size")
    for candidate in candidates:
        parity, evaluation = candidate.parity, candidate.evaluation
        table.add_row(
            candidate.precision.value,
            f"{parity.max_logit_difference:.2g}",
            f"{parity.label_agreement:.2%}",
            f"{parity.padded_label_flips}",
            f"{evaluation.macro_f1:.4f} (PyTorch {evaluation.checkpoint_macro_f1:.4f})" if evaluation else "-",
            f"{candidate.size_bytes / 1e6:.1f} MB",
        )
    out.print(table)
    out.print(f"{manifest.precision.value} ({manifest.precision_reason}), written to {output}", highlight=False)
    if manifest.precision is Precision.FP16 and not cuda_serves():
        errors.print("Note: fp16 is for GPUs; on a CPU it is slower than fp32.")


@contextmanager
def _step(description: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (TextColumn("{task.description:<32}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out) as progress:
        task = progress.add_task(description, total=total)
        yield lambda amount: progress.advance(task, amount)
        progress.update(task, completed=total)


def main() -> None:
    """Run the command line; what cannot be exported becomes one line on stderr and exit status 2."""
    try:
        app(prog_name="python -m export")
    except ExportError as error:
        errors.print(f"[red]Error:[/red] {error}")
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
