"""What a version says of its scores, in words: calibration, thresholds, label sets; and the step that fits it."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from repository.console import Console, shortened
from repository.manifest import Manifest, ProblemType
from repository.meaning.calibration import Bounded, Calibration
from repository.meaning.coverage import Coverage
from repository.meaning.thresholds import Thresholds
from repository.spelling import as_called

if TYPE_CHECKING:
    from export.checkpoint.load import Checkpoint
    from export.texts.data_file import DataFile
    from export.texts.held_out import HeldOutTexts

MOST_NAMED = 8
LATER = "`python -m export calibrate` does it later, by labelled sentences."

out = Console()


def fitting(
    checkpoint: "Checkpoint", read: "Mapping[str, DataFile]", least_precision: float | None
) -> "Callable[[Path], Manifest | None]":
    """What fits scores in the folder of a new version, see `fit_scores`.

    Args:
        checkpoint: what the version is made of.
        read: the files, by the options that named them.
        least_precision: `--label-precision`.

    Raises:
        ExportError: the model has no thresholds.
    """
    from export import ExportError

    if least_precision is not None and checkpoint.problem_type is not ProblemType.MULTI_LABEL:
        raise ExportError("--label-precision is for models that answer several labels")
    return partial(fit_scores, checkpoint, read["--data"], read.get("--validation"), least_precision)


def fit_scores(
    checkpoint: "Checkpoint",
    data: "DataFile",
    validation: "DataFile | None",
    least_precision: float | None,
    folder: Path,
) -> Manifest | None:
    """Fit what the scores of a new version mean on the checkpoint's validation split, and say what came out.

    Args:
        checkpoint: what it was made of.
        data: `--data`.
        validation: `--validation`.
        least_precision: `--label-precision`.
        folder: of the version, which is not in place yet.

    Returns:
        The manifest written; None where nothing could be fitted, with a line that says why.
    """
    from export import ExportError
    from export.meaning.fit import NoMeaningError, put_meaning

    if checkpoint.problem_type is ProblemType.REGRESSION:
        return None
    try:
        texts = _texts(checkpoint, data, validation)
        if texts is None:
            raise NoMeaningError("no validation split with labels is known")
        manifest = put_meaning(folder, texts, out.progress, least_precision)
    except (NoMeaningError, ExportError) as error:
        out.print(f"Scores are not calibrated: {error}. {as_called(LATER)}")
        return None
    for line in in_words(manifest):
        out.print(line)
    return manifest


def _texts(checkpoint: "Checkpoint", data: "DataFile", validation: "DataFile | None") -> "HeldOutTexts | None":
    """The validation split of a file that the checkpoint was trained on, or a file of its own; None: there is none."""
    from export.texts.held_out import held_out_texts, labelled_examples
    from training.data.columns import Wanted

    record, wanted, labels = checkpoint.split, Wanted(task=checkpoint.problem_type), checkpoint.labels
    own = [] if data.table is None or record is None else labelled_examples([data.table], record, wanted)
    if validation is not None and validation.table is not None:
        tests = [one for one in own if record is not None and record.split_of(one) == "test"]
        examples, name = labelled_examples([validation.table], record, wanted), validation.path.name
        return held_out_texts(examples, name, labels, record, tests, f"test split of {data.path.name}")
    if not any(record is not None and record.split_of(one) == "validation" for one in own):
        return None
    return held_out_texts(own, data.path.name, labels, record)


def in_words(manifest: Manifest) -> list[str]:
    """A line or two for each thing that a manifest says of its scores."""
    found = []
    if manifest.calibration is not None:
        found.append(f"Calibration: {of_calibration(manifest.calibration)}")
    if manifest.thresholds is not None:
        found.append(f"Thresholds: {of_thresholds(manifest.thresholds, manifest.labels)}")
    if manifest.coverage is not None:
        found += [f"Label sets: {line}" for line in of_coverage(manifest.coverage)]
    return found


def of_calibration(calibration: Calibration) -> str:
    """What was fitted, on what, and what it does to the calibration error of other texts."""
    fitted = "a sigmoid for each label"
    if calibration.temperature is not None:
        fitted = f"temperature {calibration.temperature:.3g}"
    line = f"{fitted}, fitted on {calibration.sentences} texts of {calibration.groups} groups ({calibration.origin})"
    test = calibration.test
    if test is None:
        return f"{line}; no other texts to report on"
    return (
        f"{line}; expected calibration error {bounds(test.error)} before, {bounds(test.calibrated_error)} after, "
        f"log loss {test.log_loss:.3f} and {test.calibrated_log_loss:.3f}, on {test.sentences} others ({test.origin})"
    )


def of_thresholds(thresholds: Thresholds, labels: list[str]) -> str:
    """Each label's threshold, and what they do to other texts."""
    named = [f"{shortened(label)} {one.threshold:.3g}" for label, one in zip(labels, thresholds.labels, strict=True)]
    shown = ", ".join(named[:MOST_NAMED]) + (f" and {len(named) - MOST_NAMED} more" if named[MOST_NAMED:] else "")
    how = "largest F1" if thresholds.least_precision is None else f"precision {thresholds.least_precision:g} or more"
    line = f"{shown} ({how} on {thresholds.origin})"
    if (test := thresholds.test) is None or test.macro_f1 is None or test.macro_f1_at_half is None:
        return line
    return f"{line}; macro-F1 {test.macro_f1:.3f}, with 0.5 {test.macro_f1_at_half:.3f}, on the {test.origin}"


def of_coverage(coverage: Coverage) -> list[str]:
    """What is kept, and what sets did with other texts."""
    kept = f"from {coverage.sentences} texts of {coverage.groups} groups ({coverage.origin})"
    found = [f"coverage up to {coverage.most:.3g}, {kept}"]
    for one in coverage.test:
        by_class = f"; by class: {', '.join(map(shortened, one.by_class))}" if one.by_class else ""
        found.append(
            f"coverage {one.coverage:g}: {bounds(one.observed)} held the right label, {one.mean_labels:.2f} labels on "
            f"average, {one.single:.0%} of one label{by_class}"
        )
    return found


def bounds(figure: Bounded) -> str:
    """A figure with its interval."""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"
