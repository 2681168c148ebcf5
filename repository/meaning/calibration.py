"""How do logits become scores that say how often they are right? What a manifest says of it."""

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from repository.meaning.arithmetic import Float64Array

CALIBRATE_COMMAND = "python -m export calibrate"


class Strict(BaseModel):
    """Base of every part of a manifest that says what scores mean."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Bounded(Strict):
    """A figure and its 95 % interval: whole groups of texts are drawn anew (bootstrap)."""

    value: float
    low: float | None = Field(None, description="null where all texts are of one group.")
    high: float | None = None


class CalibrationTest(Strict):
    """How far scores are from the share of right answers, before and after, on texts that nothing was fitted on."""

    sentences: int = Field(ge=1)
    groups: int = Field(ge=1)
    origin: str = Field(description="Which texts, in words.")
    error: Bounded = Field(description="Expected calibration error of the scores as they are.")
    calibrated_error: Bounded = Field(description="The same of the calibrated scores.")
    log_loss: float = Field(description="Mean negative logarithm of the true label's score.")
    calibrated_log_loss: float


class Calibration(Strict):
    """How scores are brought to say how often they are right; fitted on texts that the model was not trained on.

    Of models that answer one label, logits are divided by the temperature before the softmax (C. Guo and others, "On
    Calibration of Modern Neural Networks", 2017). Of several labels, each has a sigmoid of its own, of slope × logit +
    offset (J. Platt, "Probabilistic Outputs for Support Vector Machines", 1999).
    """

    temperature: float | None = Field(None, gt=0, description="Of models that answer one label.")
    slopes: list[float] | None = Field(None, description="Of models that answer several, in the order of the labels.")
    offsets: list[float] | None = Field(None, description="Beside `slopes`.")
    sentences: int = Field(ge=1, description="Texts that it was fitted on.")
    groups: int = Field(ge=1, description="Groups that they come from, such as mind maps.")
    origin: str = Field(description="Which texts, in words.")
    test: CalibrationTest | None = Field(None, description="null where there were no other texts with labels.")

    @model_validator(mode="after")
    def _check(self) -> "Calibration":
        by_label = (self.slopes, self.offsets)
        if (self.temperature is None) == (None in by_label) or (self.slopes is None) != (self.offsets is None):
            raise ValueError("give a temperature, or slopes and offsets")
        if self.slopes is not None and self.offsets is not None and len(self.slopes) != len(self.offsets):
            raise ValueError("slopes and offsets must be as many")
        if self.slopes is not None and min(self.slopes) <= 0:
            raise ValueError("slopes must be above 0")
        return self

    def scores(self, logits: "npt.NDArray[np.floating[Any]]") -> "Float64Array":
        """The calibrated scores of logits `[labels]` or `[texts, labels]`, in float64.

        A temperature never changes which label is best; a sigmoid of its own for each label may change their order,
        and never that of two texts by one label.
        """
        import numpy as np

        from repository.meaning.arithmetic import log_softmax, sigmoid

        wide = np.asarray(logits, dtype=np.float64)
        if self.temperature is not None:
            return np.exp(log_softmax(wide / self.temperature))
        return sigmoid(wide * np.array(self.slopes) + np.array(self.offsets))
