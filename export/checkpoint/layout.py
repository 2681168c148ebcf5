"""Which form does the optimized graph have, beside its number format?"""

from enum import StrEnum


class Layout(StrEnum):
    """Values of `--layout`; every one takes the same inputs and gives the same logits."""

    FUSED = "fused"
    """Operators of ONNX Runtime where they are faster; what CPUs and CUDA serve best."""
    PLAIN = "plain"
    """Operators of the ONNX standard alone, for TensorRT, which knows no others."""
    PACKED = "packed"
    """Fused, but everything outside of attention computes real tokens alone, and no padding."""
