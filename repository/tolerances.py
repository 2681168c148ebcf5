"""How far may a graph's answers be from PyTorch's? One table, by where the graph is run and by its precision.

What the export measures is held against TOLERANCES; `--precision auto` takes what keeps AUTOMATIC. A published version
is asked its golden sentences on machines that the export does not know: GOLDEN bounds those.

On CUDA the export computes float32 as float32 (see export.session), so that a card is no reason for a wider bound: a
graph gets the same verdict everywhere. Where it is served, ONNX Runtime's CUDA provider multiplies float32 in TF32,
with ten bits of mantissa, on Ampere and newer, unless `use_tf32` is 0; GOLDEN allows for that.
"""

from dataclasses import dataclass
from enum import StrEnum

from repository.manifest import Precision


class Provider(StrEnum):
    """What ONNX Runtime computes on."""

    CPU = "cpu"
    CUDA = "cuda"


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
    """

    max_logit_difference: float | None
    label_agreement: float | None
    decided_label_agreement: float
    macro_f1_drop: float
    padded_label_flips: bool
    random_logit_difference: float | None = None
    padded_drift: float | None = None


# The same sums in another order: about 1e-6 to 1e-5 in a sound graph, so that a hundred times as much is a fault.
_FLOAT32 = Tolerance(1e-3, None, 1.0, 0.002, padded_label_flips=False, random_logit_difference=1e-3)
# Three digits are kept: a logit that is 0.1 off moves a probability by at most 0.025. Random ids are nobody's text, and
# reach values that text does not: ten times as much there is no reason to give fp16 up.
_FLOAT16 = Tolerance(0.1, None, 0.99, 0.005, padded_label_flips=False, random_logit_difference=1.0)
# CUDA has no kernels for most of these products: ONNX Runtime runs them on the CPU there too.
_INT8 = Tolerance(None, None, 0.95, 0.02, padded_label_flips=False, padded_drift=1e-3)

TOLERANCES = {
    (Provider.CPU, Precision.FP32): _FLOAT32,
    (Provider.CPU, Precision.FP16): _FLOAT16,
    (Provider.CPU, Precision.INT8): _INT8,
    (Provider.CUDA, Precision.FP32): _FLOAT32,
    (Provider.CUDA, Precision.FP16): _FLOAT16,
    (Provider.CUDA, Precision.INT8): _INT8,
}
# What `--precision auto` asks of int8, more than if it is asked for, before it prefers it to fp32.
_AUTOMATIC_INT8 = Tolerance(None, 0.995, 0.995, 0.005, padded_label_flips=False, padded_drift=1e-4)
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


def golden_bound(precision: Precision, at_export: float) -> float:
    """Most that the logits of golden sentences may differ by wherever they are asked; `at_export` is what they do."""
    return max(GOLDEN[precision], _GOLDEN_MARGIN * at_export)
