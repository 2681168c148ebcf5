"""`python -m export export`: turns a checkpoint into a version folder, and shows what was measured."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from export import ExportError
from export.checkpoint.named_labels import read_labels
from export.commands import export_options as own
from export.commands.choice import show_choice
from export.commands.export_options import PrecisionChoice, RuleChoice
from export.commands.judging import judging_for
from export.commands.known_tokens import judged_with_tokens, with_tokens
from repository.automatic_rule import AutomaticRule
from repository.console import Console, styled
from repository.manifest import MANIFEST_FILE, Manifest, Precision
from training import SAMPLE_DATA

if TYPE_CHECKING:  # importing PyTorch takes seconds, which --help and a wrong option need not wait for
    from export.checkpoint.load import Checkpoint
    from export.parity.measure import Reference
    from export.texts.data_file import DataFile
    from export.texts.sentences import ChosenSentences, JudgedSentences

NO_GOLDEN = "none"
KINDS_HINT = "a CSV, TSV, JSON Lines or Parquet file with a column sentence or text, or a .txt file, one a line"

out = Console()
errors = Console(stderr=True)


def export_checkpoint(
    checkpoint: own.Checkpoint,
    output: own.Output = Path("exports/classifier"),
    precision: own.Precision = PrecisionChoice.AUTO,
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
    force: own.Force = False,
    trust_remote_code: own.TrustRemoteCode = False,
) -> None:
    """Turn a checkpoint into an optimized ONNX graph that answers as PyTorch does.

    The version folder holds model.onnx, tokenizer.json and manifest.json, what was measured (parity.json) and sentences
    that are asked again wherever it is served (golden.json). Publish it with
    [bold]python -m repository publish FOLDER[/bold]. An export that is outside its precision's tolerance is refused.
    """
    golden_file = Path(golden) if golden not in ("", NO_GOLDEN) else None
    files = {"--data": data, "--calibration": calibration, "--validation": validation, "--golden": golden_file}
    _require_files(output, files)
    from export.texts.data_file import read_data

    # What is wrong with a file is said before PyTorch is loaded.
    read = {path: read_data(path) for path in files.values() if path is not None}
    with out.doing("Loading PyTorch…"):
        from export.checkpoint.load import load_checkpoint
        from export.version.build import build_version

        names = None if labels is None else read_labels(labels)
        loaded = load_checkpoint(checkpoint, trust_remote_code, max_length, names)
    if not report:
        loaded = replace(loaded, report_folder=None)
    _say_where_texts_are_cut(loaded)
    texts = _texts(loaded, (data, calibration, validation), read, precision is PrecisionChoice.AUTO)
    wanted, reason = _wanted(precision, texts.without_truth, data)
    reference = _reference(loaded, texts.own, texts.other)
    kept = _golden(loaded, read[golden_file]) if golden_file else None if golden == NO_GOLDEN else reference
    asked = AutomaticRule(margin=margin, always_agreement=rule is RuleChoice.AGREEMENT)
    by = wanted or judging_for(loaded, texts.files, texts.validation, serves_on, asked)
    manifest, choice = build_version(
        loaded, by, reference, texts.calibration, output, out.progress, force, reason=reason, golden=kept
    )
    show_choice(choice, output)
    _warn(manifest)


@dataclass(frozen=True)
class _Texts:
    """The sentences of all files."""

    own: "ChosenSentences"
    other: "ChosenSentences | None"
    """Of `--calibration`."""
    validation: "JudgedSentences | None"
    """Of `--validation`."""

    @property
    def files(self) -> "list[ChosenSentences]":
        return [self.own, *([self.other] if self.other else [])]

    @property
    def without_truth(self) -> bool:
        return self.other is None and self.own.truth is None

    @property
    def calibration(self) -> list[str]:
        """What sets scales: nothing that is tested or judged on, whatever file it is in."""
        tested = set(self.own.compared) if self.own.held_out else set()
        judged = [self.validation, *(file.judged for file in self.files)]
        tested.update(sentence for one in judged if one is not None for sentence in one.sentences)
        return [sentence for sentence in self.files[-1].calibration if sentence not in tested]


def _texts(
    checkpoint: "Checkpoint", paths: "tuple[Path, Path | None, Path | None]", read: "dict[Path, DataFile]", auto: bool
) -> _Texts:
    """Deal the sentences of `--data`, `--calibration` and `--validation` to their uses."""
    from export.texts.sentences import validation_sentences

    data, calibration, validation = paths
    judged = None
    if validation and auto:
        judged = validation_sentences(read[validation], checkpoint.labels, (checkpoint.split,))
        judged = judged and judged_with_tokens(checkpoint, validation, judged)
    other = _sentences(checkpoint, calibration, read[calibration], auto) if calibration else None
    # A test split is not halved where there is a validation split.
    split = judged is None and not (other and other.judged and other.judged.is_validation)
    return _Texts(_sentences(checkpoint, data, read[data], auto and split), other, judged)


def _require_files(output: Path, given: dict[str, Path | None]) -> None:
    if output.exists() and not (output / MANIFEST_FILE).is_file():
        raise ExportError(f"{output} exists and is no version folder: give another --output")
    for option, path in given.items():
        if path is not None and not path.is_file():
            raise ExportError(f"{path} does not exist: give {option} a CSV or a .txt file of real sentences")


def _say_where_texts_are_cut(checkpoint: "Checkpoint") -> None:
    cut, own_length = checkpoint.max_length, checkpoint.own_max_length
    if own_length is not None and cut < own_length:
        out.print(f"Texts are cut at {cut} tokens; the model takes {own_length} (--max-length).")


def _sentences(checkpoint: "Checkpoint", path: Path, read: "DataFile", to_judge: bool) -> "ChosenSentences":
    from export.texts.sentences import choose_sentences

    chosen = choose_sentences(read, checkpoint.labels, (checkpoint.split,), to_judge=to_judge)
    return with_tokens(checkpoint, path, chosen)


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
