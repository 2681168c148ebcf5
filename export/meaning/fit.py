"""Asks a version's graph about held-out sentences, and lets its manifest say what its scores mean."""

from pathlib import Path

from export import ExportError, Step
from export.graph.session import start_session
from export.texts.held_out import HeldOutTexts, LabelledTexts
from repository.manifest import Manifest, ProblemType, digest_file
from repository.meaning.coverage import HELD_OUT_FILE
from training.figures.meaning import Labelled, TooFewError, fit_meaning
from training.report.served import ServedError, version_logits


class NoMeaningError(Exception):
    """Nothing can be fitted; says why, as the end of a sentence."""


def put_meaning(folder: Path, texts: HeldOutTexts, step: Step, least_precision: float | None = None) -> Manifest:
    """Fit what scores mean and write it into a version folder, in place of what it said before.

    Args:
        folder: of a version that is not published: its manifest is written anew.
        texts: what is fitted and reported on.
        step: opens a progress bar.
        least_precision: see `training.figures.meaning.fit_meaning`.

    Returns:
        The manifest written.

    Raises:
        NoMeaningError: the texts do not carry a fit, or the model answers a number.
        ExportError: the graph does not run here.
    """
    manifest = Manifest.read(folder)
    if manifest.problem_type is ProblemType.REGRESSION:
        raise NoMeaningError("the model answers a number, which is no score")
    if texts.fitted_on is None:
        raise NoMeaningError("there are no labelled sentences that it was not trained on")
    fitted_on = _asked(folder, manifest, texts.fitted_on, step, "held-out sentences")
    test = None if texts.test is None else _asked(folder, manifest, texts.test, step, "sentences to report on")
    try:
        found = fit_meaning(fitted_on, test, manifest.labels, manifest.problem_type, least_precision)
    except TooFewError as error:
        raise NoMeaningError(str(error)) from None
    (folder / HELD_OUT_FILE).unlink(missing_ok=True)  # it may be a second name of a published version's file
    files = {name: digest for name, digest in manifest.files.items() if name != HELD_OUT_FILE}
    if found.held_out is not None:
        found.held_out.write(folder)
        files[HELD_OUT_FILE] = digest_file(folder / HELD_OUT_FILE)
    said = {"calibration": found.calibration, "thresholds": found.thresholds, "coverage": found.coverage}
    manifest.model_copy(update={**said, "files": dict(sorted(files.items()))}).write(folder)
    return Manifest.read(folder)


def _asked(folder: Path, manifest: Manifest, texts: LabelledTexts, step: Step, what: str) -> Labelled:
    try:
        with step(f"Asking {what}", len(texts.sentences)) as advance:
            logits = version_logits(folder, manifest, texts.sentences, start_session, advance)
    except ServedError as error:
        raise ExportError(str(error)) from None
    return Labelled(logits, texts.truth, texts.groups, texts.origin)
