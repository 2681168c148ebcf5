"""`python -m export export`: turns a checkpoint into a version folder, and shows what was measured."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export import ExportError
from export.checkpoint.layout import Layout
from export.checkpoint.named_labels import read_labels
from export.commands import export_options as own
from export.commands.cascade import build_with_student, load_student
from export.commands.choice import show_choice
from export.commands.export_options import PrecisionChoice, RuleChoice
from export.commands.given_texts import GivenTexts, deal_texts
from export.commands.judging import judging_for
from export.commands.meaning import fitting
from repository.automatic_rule import AutomaticRule
from repository.console import Console, styled
from repository.manifest import MANIFEST_FILE, Manifest, Precision
from training import SAMPLE_DATA

if TYPE_CHECKING:  # importing PyTorch takes seconds, which --help and a wrong option need not wait for
    from export.checkpoint.load import Checkpoint
    from export.parity.measure import Reference
    from export.texts.data_file import DataFile
    from export.texts.sentences import ChosenSentences
    from export.version.automatic import Choice, Judging

NO_GOLDEN = "none"
KINDS_HINT = "a CSV, TSV, JSON Lines or Parquet file with a column sentence or text, or a .txt file, one a line"

out = Console()
errors = Console(stderr=True)


def export_checkpoint(
    checkpoint: own.Checkpoint,
    output: own.Output = Path("exports/classifier"),
    precision: own.Precision = PrecisionChoice.AUTO,
    layout: own.Layout = Layout.FUSED,
    data: own.Data = SAMPLE_DATA,
    calibration: own.Calibration = None,
    validation: own.Validation = None,
    rule: own.Rule = RuleChoice.ACCURACY,
    margin: own.Margin = AutomaticRule.margin,
    serves_on: own.ServesOnOption = None,
    golden: own.Golden = "",
    max_length: own.MaxLength = None,
    labels: own.Labels = None,
    report: own.Report = True,
    calibrated_scores: own.CalibratedScores = True,
    label_precision: own.LabelPrecision = None,
    cascade: own.Cascade = None,
    cascade_delta: own.CascadeDelta = 0.005,
    cascade_texts: own.CascadeTexts = None,
    force: own.Force = False,
    trust_remote_code: own.TrustRemoteCode = False,
) -> None:
    """Turn a checkpoint into an optimized ONNX graph that answers as PyTorch does.

    The version folder holds model.onnx, tokenizer.json and manifest.json, what was measured (parity.json) and sentences
    that are asked again wherever it is served (golden.json). Publish it with
    [bold]python -m repository publish FOLDER[/bold]. An export that is outside its precision's tolerance is refused.
    """
    _require_layout(layout, precision)
    golden_file = Path(golden) if golden not in ("", NO_GOLDEN) else None
    given = {"--data": data, "--calibration": calibration, "--validation": validation, "--golden": golden_file}
    read = _read(output, {**given, "--cascade-texts": cascade_texts})
    loaded = _load(checkpoint, trust_remote_code, max_length, labels)
    student = None if cascade is None else load_student(cascade, loaded, trust_remote_code)
    loaded = replace(loaded, layout=layout, report_folder=loaded.report_folder if report else None)
    texts = deal_texts(loaded, read, to_judge=precision is PrecisionChoice.AUTO)
    wanted, reason = _wanted(precision, texts.without_truth, data)
    rules = AutomaticRule(margin=margin, always_agreement=rule is RuleChoice.AGREEMENT)
    judging = partial(judging_for, texts=texts, serves_on=serves_on, rule=rules)
    build = partial(_build, texts=texts, wanted=wanted, judging=judging, reason=reason, force=force)
    build = partial(build, golden=golden, golden_data=read.get("--golden"))
    build_model = partial(build, finish=fitting(loaded, read, label_precision)) if calibrated_scores else build
    if student is not None:
        build_model = partial(build_with_student, (build, build_model), student, read, texts.calibration, cascade_delta)
    manifest, choice = build_model(loaded, output)
    show_choice(choice, output)
    _warn(manifest)


def _require_layout(layout: Layout, precision: PrecisionChoice) -> None:
    if layout is not Layout.FUSED and precision in (PrecisionChoice.AUTO, PrecisionChoice.INT8):
        raise ExportError(f"--layout {layout.value} is for fp32 and fp16: name one by --precision")


def _read(output: Path, given: dict[str, Path | None]) -> "dict[str, DataFile]":
    """The files that options name: what is wrong with one is said before PyTorch is loaded."""
    if output.exists() and not (output / MANIFEST_FILE).is_file():
        raise ExportError(f"{output} exists and is no version folder: give another --output")
    for option, path in given.items():
        if path is not None and not path.is_file():
            raise ExportError(f"{path} does not exist: give {option} a CSV or a .txt file of real sentences")
    from export.texts.data_file import read_data

    return {option: read_data(path) for option, path in given.items() if path is not None}


def _load(name: str, trust_remote_code: bool, max_length: int | None, labels: str | None) -> "Checkpoint":
    with out.doing("Loading PyTorch…"):
        from export.checkpoint.load import load_checkpoint

        names = None if labels is None else read_labels(labels)
        loaded = load_checkpoint(name, trust_remote_code, max_length, names)
    _say_where_texts_are_cut(loaded)
    return loaded


def _build(
    checkpoint: "Checkpoint",
    output: Path,
    *,
    texts: GivenTexts,
    wanted: Precision | None,
    judging: "Callable[[Checkpoint], Judging]",
    reason: str,
    golden: str,
    golden_data: "DataFile | None",
    force: bool,
    finish: "Callable[[Path], Manifest | None]" = lambda _: None,
) -> "tuple[Manifest, Choice]":
    """Write the version folder of a checkpoint."""
    from export.version.build import build_version

    reference = _reference(checkpoint, texts.own, texts.other)
    kept = None if golden == NO_GOLDEN else _golden(checkpoint, golden_data) if golden_data else reference
    by, scales = wanted or judging(checkpoint), texts.calibration
    more: dict[str, Any] = {"reason": reason, "golden": kept, "finish": finish, "profiled": texts.profiled}
    return build_version(checkpoint, by, reference, scales, output, out.progress, force, **more)


def _say_where_texts_are_cut(checkpoint: "Checkpoint") -> None:
    cut, own_length = checkpoint.max_length, checkpoint.own_max_length
    if own_length is not None and cut < own_length:
        out.print(f"Texts are cut at {cut} tokens; the model takes {own_length} (--max-length).")


def _wanted(choice: PrecisionChoice, without_truth: bool, data: Path) -> tuple[Precision | None, str]:
    """The precision to make, None to choose one, and why."""
    from export.texts.sentences import is_sample

    wanted = None if choice is PrecisionChoice.AUTO else Precision(choice.value)
    return _without_data(wanted) if without_truth and is_sample(data) else (wanted, "asked for")


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
    from export.parity.measure import reference_answers

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
    from export.parity.measure import reference_answers
    from export.texts.sentences import choose_sentences

    sentences = choose_sentences(data, checkpoint.labels, keep_all=True).compared
    with out.progress("Asking PyTorch golden sentences", len(sentences)) as advance:
        return reference_answers(checkpoint, sentences, None, advance)


def _warn(manifest: Manifest) -> None:
    from export.precision.formats import cuda_serves

    if manifest.forced:
        errors.print(styled(" FORCED ", "bold white on red"), "This version does not answer as PyTorch does:")
    for violation in manifest.forced:
        errors.print(styled(f"- {violation}", "bold red"))
    if manifest.precision is Precision.FP16 and not cuda_serves():
        errors.print("Note: fp16 is for GPUs; on a CPU it is slower than fp32.")
