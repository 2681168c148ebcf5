"""An ONNX Runtime session as every part of the export opens it; needs no PyTorch."""

from pathlib import Path
from typing import Any

import onnxruntime

CUDA = "CUDAExecutionProvider"
# On Ampere and newer, CUDA's float32 products are TF32 by default, with ten bits of mantissa: a bound that is wide
# enough for that would hide faults of the graph, and any other would refuse a sound one.
# https://github.com/microsoft/onnxruntime/pull/19357
CUDA_OPTIONS = {"use_tf32": "0"}


def start_session(path: Path) -> Any:
    """A session on the CPU, or on the GPU where onnxruntime-gpu finds one; raises what ONNX Runtime raises."""
    return onnxruntime.InferenceSession(str(path), providers=session_providers(onnxruntime.get_available_providers()))


def session_providers(available: list[str]) -> list[str | tuple[str, dict[str, str]]]:
    """What a session is to compute on, best first, of what this build of ONNX Runtime has."""
    return [*([(CUDA, CUDA_OPTIONS)] if CUDA in available else []), "CPUExecutionProvider"]
