"""How far may a graph's answers be from PyTorch's? One table, by where the graph is run and by its precision.

What the export measures is held against TOLERANCES; `--precision auto` takes what keeps AUTOMATIC. A published version
is asked its golden sentences on machines that the export does not know: GOLDEN bounds those.

On CUDA the export computes float32 as float32 (see export.graph.session), so that a card is no reason for a wider
bound: a graph gets the same verdict everywhere. Where it is served, ONNX Runtime's CUDA provider multiplies float32 in
TF32, with ten bits of mantissa, on Ampere and newer, unless `use_tf32` is 0; GOLDEN allows for that.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from repository.manifest import Precision, ProblemType


class Provider(StrEnum):
    """What ONNX Runtime computes on."""

    CPU = "cpu"
    CUDA = "cuda"


# Differences below this, and below this share of the range of the logits, are no failure at any length.
LEAST_DIFFERENCE, LEAST_SHARE = 0.1, 0.1


@dataclass(frozen=True)
class Tolerance:
    """What a graph may differ from PyTorch by at export; beyond it, it is refused.

    Attributes:
        max_logit_difference: None where a number format has no useful bound on single logits.
        label_agreement: least share of sentences with PyTorch's label; None to leave near ties out.
        decided_label_agreement: the same among sentences on which PyTorch is not near a tie.
        macro_f1_drop: most that macro-F1 on labelled sentences may fall by.
        padded_label_flips: whether a label may change with padding or company at all.
        random_logit_difference: like `max_logit_difference`, for the sweep's random token ids, which no one writes.
        padded_drift: most that a probability may change with padding or company; None for no bound.
        times_sentences: where there is no bound on single logits, how many times as far off as the sentences that are
            compared a real text of any other length may be: what is right on short texts must not fail on long ones.
    """

    max_logit_difference: float | None
    label_agreement: float | None
    decided_label_agreement: float
    macro_f1_drop: float
    padded_label_flips: bool
    random_logit_difference: float | None = None
    padded_drift: float | None = None
    times_sentences: float | None = None

    def in_units(self, unit: float) -> "Tolerance":
        """The same for answers whose unit is `unit` (see `unit_of`)."""

        def scaled(bound: float | None) -> float | None:
            return None if bound is None else bound * unit

        return replace(
            self,
            max_logit_difference=scaled(self.max_logit_difference),
            random_logit_difference=scaled(self.random_logit_difference),
            padded_drift=scaled(self.padded_drift),
        )

    def bounds(self, logit_range: float, on_sentences: float) -> tuple[float, float]:
        """Most that a logit may be off by in a text of any length: of real text, and of random token ids.

        Args:
            logit_range: how far PyTorch's logits of a label are apart from text to text.
            on_sentences: the largest difference of a logit on the sentences that are compared.
        """
        # A format without a bound on single logits has one here all the same: what is off by more than a good part of
        # what one text's logits are from another's is no rounding, but a shape that the graph takes wrongly.
        coarse = max(0.5, 0.5 * logit_range)
        real = coarse
        if self.times_sentences is not None:
            real = min(coarse, max(LEAST_DIFFERENCE, LEAST_SHARE * logit_range, self.times_sentences * on_sentences))
        given = self.max_logit_difference, self.random_logit_difference
        return real if given[0] is None else given[0], coarse if given[1] is None else given[1]


# The same sums in another order: about 1e-6 to 1e-5 in a sound graph, so that a hundred times as much is a fault.
_FLOAT32 = Tolerance(1e-3, None, 1.0, 0.002, padded_label_flips=False, random_logit_difference=1e-3)
# Three digits are kept: a logit that is 0.1 off moves a probability by at most 0.025. Random ids are nobody's text, and
# reach values that text does not: ten times as much there is no reason to give fp16 up.
_FLOAT16 = Tolerance(0.1, None, 0.99, 0.005, padded_label_flips=False, random_logit_difference=1.0)
# CUDA has no kernels for most of these products: ONNX Runtime runs them on the CPU there too.
# On the packaged MiniLM, real text of no length from 1 to 512 is off by more than 660 sentences are at worst.
_INT8 = Tolerance(None, None, 0.95, 0.02, padded_label_flips=False, padded_drift=1e-3, times_sentences=3.0)

TOLERANCES = {
    (Provider.CPU, Precision.FP32): _FLOAT32,
    (Provider.CPU, Precision.FP16): _FLOAT16,
    (Provider.CPU, Precision.INT8): _INT8,
    (Provider.CUDA, Precision.FP32): _FLOAT32,
    (Provider.CUDA, Precision.FP16): _FLOAT16,
    (Provider.CUDA, Precision.INT8): _INT8,
}
# What `--precision auto` asks of int8 before it prefers it to fp32, beside what `repository.automatic_rule` has.
_AUTOMATIC_INT8 = replace(_INT8, padded_drift=1e-4)
AUTOMATIC = {
    **TOLERANCES,
    (Provider.CPU, Precision.INT8): _AUTOMATIC_INT8,
    (Provider.CUDA, Precision.INT8): _AUTOMATIC_INT8,
}

# The least that the logits of golden sentences may differ by, on any provider. It is wider than the export's own bound,
# because it has to hold on machines that are not here: with TF32, fp32 gets the bound of fp16; fp16 is summed in fp32
# on one processor and in fp16 on another. int8 is the same integers everywhere, but what is left of it (scales,
# LayerNorm) is not, and a rounding that falls to the other side is a whole step. A graph that is wrong is off by the
# distance between sentences, several units.
GOLDEN = {Precision.FP32: 0.1, Precision.FP16: 0.2, Precision.INT8: 0.2}
# Of the difference that is there at export already: another machine's roundings come on top of it.
_GOLDEN_MARGIN = 2.0


def golden_bound(precision: Precision, at_export: float, unit: float = 1.0) -> float:
    """Most that the logits of golden sentences may differ by wherever they are asked.

    Args:
        precision: of the graph.
        at_export: what they differ by where it was exported.
        unit: of the answers (see `unit_of`).
    """
    return max(GOLDEN[precision] * unit, _GOLDEN_MARGIN * at_export)


def replay_bound(
    provider: Provider | None, precision: Precision, anywhere: float | None = None, unit: float = 1.0
) -> float:
    """Most that a logit may differ by when a version's own graph is asked the same tokens once more.

    On the same provider that is rounding alone, which the export's bound on single logits has room for; where it has
    none (int8), and between providers, what golden sentences may differ by.

    Args:
        provider: what computed, both times; None if it was not the same, or is not known.
        precision: of the graph.
        anywhere: the version's own bound for any machine, in its `golden.json`; None if it has no golden sentences.
        unit: of the answers (see `unit_of`).
    """
    widest = GOLDEN[precision] * unit if anywhere is None else anywhere
    rounding = None if provider is None else TOLERANCES[provider, precision].in_units(unit).max_logit_difference
    return widest if rounding is None else min(rounding, widest)


def unit_of(logits: npt.ArrayLike, problem_type: ProblemType) -> float:
    """What the bounds of a model's logits are multiples of.

    Logits of labels have their scale from the softmax or sigmoid that follows. Those of a regression are answers in
    the unit of the data, prices in thousands as well as stars: the bounds grow with how far these answers are apart,
    and with a hundredth of their size, of which float32 keeps seven digits. They never shrink.

    Args:
        logits: PyTorch's, `[texts, labels]`.
        problem_type: of the model.
    """
    values = np.asarray(logits, dtype=np.float64)
    if problem_type is not ProblemType.REGRESSION or not values.size or not np.isfinite(values).all():
        return 1.0
    return max(1.0, float(np.ptp(values, axis=0).max()), 0.01 * float(np.abs(values).max()))
