"""`python -m export`: a Hugging Face checkpoint in, a version folder for the model repository out."""

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from export import ExportError
from export.diff_command import diff_versions
from export.inspect_command import inspect_version
from export.named_labels import read_labels
from repository.console import Console, Table, styled
from repository.default_command import DefaultCommandGroup
from repository.manifest import MANIFEST_FILE, Evaluation, Precision, RepositoryError
from training import SAMPLE_DATA

if TYPE_CHECKING:  # importing PyTorch takes seconds, which --help and a wrong option need not wait for
    from export.build import Candidate
    from export.checkpoint import Checkpoint
    from export.parity import Reference
    from export.sentences import ChosenSentences, DataFile

NO_GOLDEN = "none"
KINDS_HINT = "a CSV, TSV, JSON Lines or Parquet file with a column sentence or text, or a .txt file, one a line"

app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Export a fine-tuned checkpoint, and look at what came out.",
    epilog="`export` is meant where no command is named; `export --help` lists its options.",
    pretty_exceptions_enable=False,
)
out = Console()
errors = Console(stderr=True)


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
            "PyTorch on 99.5 % of labels, no score of which changes with padding or batching, and macro-F1 falls by at "
            "most 0.005; else fp32. int8 sets its scales by sentences of [bold]--data[/bold] that are not compared on."
        ),
    ] = PrecisionChoice.AUTO,
    data: Annotated[
        Path,
        typer.Option(
            help="Sentences to compare on: a table of maps as for training, of which the maps that the checkpoint held "
            "out (split.json) are taken, and none that it was trained on; CSV, TSV, JSON Lines or Parquet with a "
            "column sentence or text, and maybe label; or .txt with one sentence a line. True labels are used if they "
            "are the checkpoint's. Maps it was trained on, or a fifth of other data, set the scales of int8; the "
            "sample data do so only for a checkpoint with their labels."
        ),
    ] = SAMPLE_DATA,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Real sentences to compare on, and to set int8's scales by, in place of those of --data: a file of "
            "the same kinds. Accuracy is still measured on --data."
        ),
    ] = None,
    golden: Annotated[
        str,
        typer.Option(
            metavar="FILE|none",
            help="Sentences to choose those from that are kept in the version, in clear text, with PyTorch's answers "
            "(golden.json): a file of the same kinds as --data, or [bold]none[/bold] to keep none.",
            show_default="those that are compared on",
        ),
    ] = "",
    max_length: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Longest sequence to serve, in tokens; longer texts are cut. By default the model's own limit, but at "
            "most 2048, since attention takes heads × length² × 4 bytes a text: with twelve heads 0.2 GB at 2048 "
            "tokens, 3.2 GB at 8192, 52 GB at 32768, times the texts that are computed at once.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            help="Names of the labels in the order of the logits, in place of the checkpoint's: a list with commas, or "
            "a file (one a line, a JSON list, or JSON as id2label has it).",
            show_default="those of config.json",
        ),
    ] = None,
    report: Annotated[
        bool,
        typer.Option(
            help="Take the training's report and model card along (report.html, README.md), which the gateway shows. "
            "They may hold sentences of the training data: see --report of python -m training."
        ),
    ] = True,
    force: Annotated[
        bool, typer.Option("--force", help="Write the version although it is outside its tolerance; it stays marked.")
    ] = False,
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run the Python code that the checkpoint brings along.")
    ] = False,
) -> None:
    """Turn a checkpoint into an optimized ONNX graph that answers as PyTorch does.

    The version folder holds model.onnx, tokenizer.json and manifest.json, what was measured (parity.json) and sentences
    that are asked again wherever it is served (golden.json). Publish it with
    [bold]python -m repository publish FOLDER[/bold]. An export that is outside its precision's tolerance is refused.
    """
    if output.exists() and not (output / MANIFEST_FILE).is_file():
        raise ExportError(f"{output} exists and is no version folder: give another --output")
    golden_file = Path(golden) if golden not in ("", NO_GOLDEN) else None
    for option, path in (("--data", data), ("--calibration", calibration), ("--golden", golden_file)):
        if path is not None and not path.is_file():
            raise ExportError(f"{path} does not exist: give {option} a CSV or a .txt file of real sentences")
    from export.sentences import choose_sentences, is_sample, read_data

    # What is wrong with a file is said before PyTorch is loaded.
    read = {path: read_data(path) for path in (data, calibration, golden_file) if path is not None}
    with out.doing("Loading PyTorch…"):
        from export.build import build_version
        from export.checkpoint import load_checkpoint
        from export.precision import cuda_serves
        from export.report import sweep_table

        names = None if labels is None else read_labels(labels)
        loaded = load_checkpoint(checkpoint, trust_remote_code, max_length, names)
    if not report:
        loaded = replace(loaded, report_folder=None)
    if loaded.own_max_length is not None and loaded.max_length < loaded.own_max_length:
        out.print(
            f"Texts are cut at {loaded.max_length} tokens; the model takes {loaded.own_max_length} (--max-length)."
        )
    own = _with_tokens(loaded, data, choose_sentences(read[data], loaded.labels, (loaded.split,)))
    other = None
    if calibration:
        other = _with_tokens(loaded, calibration, choose_sentences(read[calibration], loaded.labels, (loaded.split,)))
    wanted = None if precision is PrecisionChoice.AUTO else Precision(precision.value)
    reason = "asked for"
    if other is None and own.truth is None and is_sample(data):
        wanted, reason = _without_data(wanted)
    # What is tested on sets no scales, whatever file it is in.
    tested = set(own.compared) if own.held_out else set()
    scales = [sentence for sentence in (other or own).calibration if sentence not in tested]
    reference = _reference(loaded, own, other)
    kept = _golden(loaded, read[golden_file]) if golden_file else None if golden == NO_GOLDEN else reference
    manifest, candidates = build_version(
        loaded, wanted, reference, scales, output, out.progress, force, reason=reason, golden=kept
    )
    for candidate in candidates:
        if candidate.sweep is not None:
            out.table(sweep_table(candidate.precision, candidate.sweep))
    table = Table("", "largest logit difference", "labels agree", "flips when padded", _figure_of(candidates), "size")
    for candidate in candidates:
        parity, evaluation = candidate.parity, candidate.evaluation
        table.add_row(
            candidate.precision.value,
            f"{parity.max_logit_difference:.2g}",
            f"{parity.label_agreement:.2%}",
            f"{parity.padded_label_flips}",
            _beside_pytorch(evaluation),
            f"{candidate.size_bytes / 1e6:.1f} MB",
        )
    out.table(table)
    out.print(f"{manifest.precision.value} ({manifest.precision_reason}), written to {output}")
    _warn_of_violations(manifest.forced)
    if manifest.precision is Precision.FP16 and not cuda_serves():
        errors.print("Note: fp16 is for GPUs; on a CPU it is slower than fp32.")


def _figure_of(candidates: "Sequence[Candidate]") -> str:
    evaluation = next((candidate.evaluation for candidate in candidates if candidate.evaluation), None)
    return "mean absolute error" if evaluation and evaluation.macro_f1 is None else "macro-F1"


def _beside_pytorch(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "-"
    if evaluation.macro_f1 is not None:
        return f"{evaluation.macro_f1:.4f} (PyTorch {evaluation.checkpoint_macro_f1:.4f})"
    both = (figures.get("mean_absolute_error") for figures in (evaluation.figures, evaluation.checkpoint_figures))
    own, pytorch = (f"{error:.4g}" for error in both)
    return f"{own} (PyTorch {pytorch})"


def _without_data(wanted: Precision | None) -> tuple[Precision, str]:
    """The precision, and why, of a checkpoint for which no real sentences were given: mind maps say nothing of it."""
    if wanted is Precision.INT8:
        raise ExportError(
            "int8 sets its scales by sentences like those that will be asked, and the sample data's are mind maps: "
            f"give --data {KINDS_HINT}"
        )
    if wanted is None:
        return Precision.FP32, "auto: no sentences of its own (--data) to judge fp16 or int8 on"
    return wanted, "asked for"


def _reference(checkpoint: "Checkpoint", own: "ChosenSentences", other: "ChosenSentences | None") -> "Reference":
    """PyTorch's answers to the sentences to compare on, and to those with true labels."""
    from export.parity import reference_answers

    if own.truth is None:
        out.print(f"{own.origin}: no true labels for this checkpoint, accuracy is not measured.")
    elif own.held_out is None:
        out.print(f"Accuracy is measured on {own.origin}.")
    with out.progress("Asking PyTorch", len(own.compared)) as advance:
        answers = reference_answers(checkpoint, own.compared, own.truth, advance)
        labelled = replace(answers, held_out=own.held_out, origin=own.origin)
    if other is None:
        return labelled
    with out.progress("Asking PyTorch to compare", len(other.compared)) as advance:
        return replace(reference_answers(checkpoint, other.compared, None, advance), labelled=labelled)


def _golden(checkpoint: "Checkpoint", data: "DataFile") -> "Reference":
    """PyTorch's answers to the sentences that golden ones are chosen from."""
    from export.parity import reference_answers
    from export.sentences import choose_sentences

    sentences = choose_sentences(data, checkpoint.labels, keep_all=True).compared
    with out.progress("Asking PyTorch golden sentences", len(sentences)) as advance:
        return reference_answers(checkpoint, sentences, None, advance)


def _with_tokens(checkpoint: "Checkpoint", path: Path, chosen: "ChosenSentences") -> "ChosenSentences":
    """Those in which the tokenizer finds a token, with their labels; the gateway refuses the others, too.

    Raises:
        ExportError: it finds none in any that are compared.
    """
    from export.parity import encode

    # In order and each once; tokenizing them all is what takes the time here.
    empty = [s for s in dict.fromkeys((*chosen.compared, *chosen.calibration)) if not encode(checkpoint, s)]
    if not empty:
        return chosen
    without = set(empty)
    kept = [place for place, sentence in enumerate(chosen.compared) if sentence not in without]
    scales = [sentence for sentence in chosen.calibration if sentence not in without]
    lacking = len(chosen.compared) + len(chosen.calibration) - len(kept) - len(scales)
    found = f"{path}: {lacking} sentences have no token that the model knows"
    if not kept:
        raise ExportError(f"{found}, such as {empty[0][:60]!r}: give others")
    errors.print(f"Warning: {found}, and are left out: {empty[0][:60]!r} is the first.")
    truth = [chosen.truth[place] for place in kept] if chosen.truth is not None else None
    return replace(chosen, compared=[chosen.compared[place] for place in kept], truth=truth, calibration=scales)


def _warn_of_violations(violations: list[str]) -> None:
    if violations:
        errors.print(styled(" FORCED ", "bold white on red"), "This version does not answer as PyTorch does:")
    for violation in violations:
        errors.print(styled(f"- {violation}", "bold red"))


# These two start without PyTorch: scripts call them.
app.command("inspect")(inspect_version)
app.command("diff")(diff_versions)


def main() -> None:
    """Run the command line; what cannot be exported becomes one line on stderr and exit status 2."""
    # As Ctrl-C does: what was begun beside the output folder is taken away again.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        app(prog_name="python -m export")
    except (ExportError, RepositoryError) as error:
        errors.error(error)
        raise SystemExit(2) from None


if __name__ == "__main__":
    main()
