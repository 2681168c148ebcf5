"""A version's answers to sentences: its own tokenizer and graph, without PyTorch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from export import ExportError
from export.graph.session import start_session
from repository.inference import Float32Array, scores
from repository.manifest import Manifest
from repository.meaning.arithmetic import Float64Array
from training.report.served import ServedError, version_logits


@dataclass(frozen=True)
class Answers:
    """Scores `[sentences, labels]` of a version, in the order of its manifest's labels."""

    folder: Path
    manifest: Manifest
    scores: Float32Array
    calibrated: Float64Array | None = None
    """The same, calibrated; None where the version has no calibration."""


def ask_version(folder: Path, sentences: Sequence[str], advance: Callable[[int], None]) -> Answers:
    """Ask the version in `folder` in batches of neighbours in length; `advance` is told of every batch's size.

    Raises:
        ExportError: ONNX Runtime cannot run the graph, or a logit is no number.
        RepositoryError: it is no version folder.
    """
    manifest = Manifest.read(folder)
    try:
        logits = version_logits(folder, manifest, sentences, start_session, advance)
    except ServedError as error:
        raise ExportError(str(error)) from None
    calibrated = None if manifest.calibration is None else manifest.calibration.scores(logits)
    return Answers(folder, manifest, scores(logits, manifest.problem_type), calibrated)
