"""An ONNX Runtime session as every part of the export opens it; needs no PyTorch."""

from pathlib import Path
from typing import Any

import onnxruntime


def start_session(path: Path) -> Any:
    """A session on the CPU, or on the GPU where onnxruntime-gpu finds one; raises what ONNX Runtime raises."""
    available = onnxruntime.get_available_providers()
    providers = [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in available]
    return onnxruntime.InferenceSession(str(path), providers=providers)
