"""Predictions become the labels that a wish asks for: calibrated, above a least score, or as a set with a coverage."""

from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.classifier import Predictions
from gateway.errors import InvalidRequestError
from gateway.files import VersionFiles
from gateway.meaning.held_out import HeldOutScores
from gateway.meaning.thresholds import thresholds_of
from gateway.meaning.wish import Wish, wish_of
from gateway.metrics import ModelMetrics
from gateway.ranking import LabelScore, many_can_be_true, ranked
from gateway.schemas import PLAIN, Options
from gateway.settings import GatewaySettings
from repository.manifest import Manifest, ProblemType
from repository.meaning.arithmetic import Float64Array
from repository.meaning.calibration import CALIBRATE_COMMAND
from repository.meaning.held_out import Limits, label_set, nonconformity_of
from repository.spelling import as_called

CALIBRATED_HEADER = "X-Calibrated"
COVERAGE_HEADER = "X-Coverage"

Scores = npt.NDArray[np.floating[Any]]


class Meaning:
    """Answers wishes, with what the versions say of their scores."""

    def __init__(self, settings: GatewaySettings, files: VersionFiles, metrics: ModelMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._held_out = HeldOutScores(files)
        self._plain = wish_of(PLAIN, settings)

    def wish(self, options: Options) -> Wish | None:
        """What is asked; None where it is nothing but what the model gives. Raises InvalidRequestError."""
        return self._plain if options is PLAIN else wish_of(options, self._settings)

    async def labels(self, predictions: Predictions, wish: Wish) -> list[list[LabelScore]]:
        """What is answered for each text.

        Raises:
            InvalidRequestError: the version does not have what the request itself asks for.
            NotReadyError, ModelFailedError: what it has cannot be read.
        """
        version = predictions.version
        manifest, coverage = version.manifest, wish.options.coverage
        refuse(wish, version.number, manifest)
        calibrated = wish.calibrated and manifest.calibration is not None
        shown = shown_scores(predictions, calibrated)
        if coverage is not None:
            limits = await self._held_out.limits(version, coverage)
            nonconformity = nonconformity_of(np.stack([item.logits for item in predictions.items]))
            pairs = zip(nonconformity, shown, strict=True)
            return [self._set_of(row, scores, manifest, limits) for row, scores in pairs]
        if manifest.problem_type is ProblemType.REGRESSION:
            return [ranked(scores, manifest, wish.options.top_k, 0.0) for scores in shown]
        threshold = thresholds_of(manifest, self._settings, calibrated) if wish.min_score is None else wish.min_score
        return [self._sure_of(scores, manifest, wish, threshold) for scores in shown]

    def _sure_of(
        self, scores: Scores, manifest: Manifest, wish: Wish, threshold: float | npt.NDArray[np.float64]
    ) -> list[LabelScore]:
        found = ranked(scores, manifest, wish.options.top_k, threshold)
        if wish.min_score is not None:
            found = [one for one in found if one["score"] >= wish.min_score]
        if found or (wish.min_score is None and wish.unknown is None):
            return found
        self._metrics.unknown.inc()
        return [] if wish.unknown is None else [{"label": wish.unknown, "score": float(scores.max())}]

    def _set_of(
        self, nonconformity: Float64Array, scores: Scores, manifest: Manifest, limits: Limits
    ) -> list[LabelScore]:
        places = label_set(nonconformity, limits).tolist()
        self._metrics.set_labels.observe(len(places))
        return [{"label": manifest.labels[place], "score": float(scores[place])} for place in places]


def shown_scores(predictions: Predictions, calibrated: bool) -> list[Scores]:
    """The scores that are answered, `[labels]` each: calibrated if that is asked and the version can."""
    calibration = predictions.version.manifest.calibration
    if not calibrated or calibration is None:
        return [item.scores for item in predictions.items]
    # For all at once: NumPy costs as much for one row as for all of them.
    return list(calibration.scores(np.stack([item.logits for item in predictions.items])))


def headers_of(wish: Wish, manifest: Manifest) -> dict[str, str]:
    """What the answer says of its scores: a setting asks for calibrated ones also of versions that have none."""
    headers = {}
    if wish.calibrated:
        headers[CALIBRATED_HEADER] = "true" if manifest.calibration is not None else "false"
    if wish.options.coverage is not None:
        headers[COVERAGE_HEADER] = f"{wish.options.coverage:g}"
    return headers


def refuse(wish: Wish, number: int, manifest: Manifest) -> None:
    """Raise InvalidRequestError where the request itself asks for what the version does not have."""
    options, is_number = wish.options, manifest.problem_type is ProblemType.REGRESSION
    asked = {
        "calibrated": options.calibrated or None,
        "min_score": options.min_score,
        "unknown": options.unknown,
        "coverage": options.coverage,
    }
    for name, value in asked.items():
        if value is not None and is_number:
            raise InvalidRequestError(f"Version {number} answers a number, which is no score: leave `{name}` out.")
    if options.calibrated and manifest.calibration is None:
        raise InvalidRequestError(
            f"Version {number} has no calibration: {as_called(f'`{CALIBRATE_COMMAND} {number} --data FILE`')} "
            "publishes a version that has."
        )
    if options.coverage is not None and manifest.problem_type is ProblemType.MULTI_LABEL:
        raise InvalidRequestError(
            f"Version {number} answers several labels at once: `coverage` is of models that answer one."
        )
    if options.unknown is not None and wish.min_score is None and not many_can_be_true(manifest):
        raise InvalidRequestError("`unknown` is answered below `min_score`: give that, too.")
