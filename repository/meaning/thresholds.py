"""From which score on is each label of a model that answers several labels answered? What a manifest says of it."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from repository.meaning.calibration import Calibration, Strict

if TYPE_CHECKING:
    from repository.meaning.arithmetic import Float64Array

_FARTHEST = 1e-12


class LabelThreshold(Strict):
    """One label's threshold, and what it does with the texts that it was chosen on."""

    threshold: float = Field(ge=0, le=1, description="Least score, as the sigmoid gives it, with which it is answered.")
    positives: int = Field(ge=0, description="Texts of which the label is true.")
    precision: float | None = Field(None, ge=0, le=1, description="Of the texts it is answered to, the share right.")
    recall: float | None = Field(None, ge=0, le=1, description="Of the texts it is true of, the share it is found in.")
    tuned: bool = Field(description="false: it is 0.5, for the texts have too few with, or without, the label.")


class ThresholdTest(Strict):
    """What the thresholds do with texts that had no say in them, beside 0.5 for each label."""

    sentences: int = Field(ge=1)
    origin: str = Field(description="Which texts, in words.")
    macro_f1: float | None = Field(None, ge=0, le=1, description="With the thresholds.")
    macro_f1_at_half: float | None = Field(None, ge=0, le=1, description="With 0.5.")
    precision: float | None = Field(None, ge=0, le=1, description="Share of all labels answered that are right.")
    precision_at_half: float | None = Field(None, ge=0, le=1)


class Thresholds(Strict):
    """A threshold for each label of a model that answers several, chosen on texts it was not trained on."""

    labels: list[LabelThreshold] = Field(min_length=1, description="In the order of the manifest's labels.")
    chosen_by: Literal["f1", "precision"] = Field(
        description="`f1`: the one of largest F1. `precision`: the lowest that keeps `least_precision`."
    )
    least_precision: float | None = Field(None, gt=0, le=1, description="What was asked for.")
    origin: str = Field(description="Which texts, in words.")
    test: ThresholdTest | None = Field(None, description="null where there were no other texts with labels.")

    @model_validator(mode="after")
    def _check(self) -> "Thresholds":
        if (self.chosen_by == "precision") != (self.least_precision is not None):
            raise ValueError("least_precision goes with chosen_by precision, and with nothing else")
        return self

    @property
    def values(self) -> list[float]:
        """The thresholds, in the order of the labels."""
        return [label.threshold for label in self.labels]

    def shown(self, calibration: Calibration | None) -> "Float64Array":
        """The thresholds `[labels]` for calibrated scores, or, without a calibration, for scores as they are.

        A label's sigmoid rises with its logit: the same labels are answered either way.
        """
        import numpy as np

        values = np.array(self.values)
        if calibration is None:
            return values
        inside = np.clip(values, _FARTHEST, 1 - _FARTHEST)
        found = calibration.scores(np.log(inside) - np.log1p(-inside))
        return np.where(values <= 0, 0.0, found)
