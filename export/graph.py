"""Checkpoint → optimized ONNX graph with the inputs and the output that every served model has."""

import contextlib
from pathlib import Path
from typing import Any

import optimum.exporters.onnx.model_configs  # noqa: F401  registers what TasksManager knows
from onnx import TensorProto
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import MODEL_TYPES, optimize_model
from optimum.exporters.tasks import TasksManager

from export import ExportError
from export.checkpoint import Checkpoint
from export.floor import OPSET, floor
from export.tracing import trace
from export.weights import read_skeleton, read_structure
from repository.manifest import INPUTS, OUTPUT


def export_graph(checkpoint: Checkpoint, folder: Path) -> Path:
    """Trace the model into `folder/raw.onnx`: INT64 `input_ids` and `attention_mask` `[batch, sequence]` → `logits`.

    Inputs that the architecture also knows (`token_type_ids`) are left to the model's own default, zeros, which the
    tracer folds into the graph.

    Raises:
        ExportError: optimum knows no ONNX export for this architecture.
    """
    config = checkpoint.model.config
    try:
        constructor = TasksManager.get_exporter_config_constructor(
            "onnx", model=checkpoint.model, task="text-classification", library_name="transformers"
        )
    except (KeyError, ValueError):
        raise ExportError(
            f"{checkpoint.name}: no ONNX export is known for the architecture {config.model_type}"
        ) from None
    path = folder / "raw.onnx"
    onnx_config = _with_uniform_inputs(constructor(config, task="text-classification"))
    trace(checkpoint.model, onnx_config, path, OPSET)
    return path


def _with_uniform_inputs(onnx_config: Any) -> Any:
    base = type(onnx_config)

    class UniformInputs(base):  # type: ignore[misc, valid-type]
        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            return {name: axes for name, axes in super().inputs.items() if name in INPUTS}

    onnx_config.__class__ = UniformInputs
    return onnx_config


def optimize_graph(raw: Path, model_config: Any) -> Any:
    """Fuse attention, LayerNorm and GELU; returns ONNX Runtime's `OnnxModel` of the float32 graph.

    `opt_level=0`: only the hardware-independent fusions of onnxruntime.transformers are written into the file. The
    session does the rest when it loads, for the processor it finds. Weights that lie beside `raw` stay there.
    """
    model_type = model_config.model_type if model_config.model_type in MODEL_TYPES else "bert"
    # Fusion reads a few weights by the names of their files, from the current folder.
    with contextlib.chdir(raw.parent):
        return optimize_model(
            read_skeleton(raw),
            model_type=model_type,
            num_heads=getattr(model_config, "num_attention_heads", 0) or 0,
            hidden_size=getattr(model_config, "hidden_size", 0) or 0,
            optimization_options=FusionOptions(model_type),
            opt_level=0,
        )


def check_graph(path: Path) -> tuple[int, int]:
    """Check that a graph is what Triton's config promises; returns (opset, IR version).

    Raises:
        ExportError: inputs or output differ, or the pinned Triton knows less than the graph needs.
    """
    model = read_structure(path)
    inputs = tuple(sorted(tensor.name for tensor in model.graph.input))
    outputs = tuple(tensor.name for tensor in model.graph.output)
    if inputs != tuple(sorted(INPUTS)) or outputs != (OUTPUT,):
        raise ExportError(f"the graph takes {inputs} and gives {outputs}; {INPUTS} and {OUTPUT!r} are needed")
    types = {tensor.name: tensor.type.tensor_type.elem_type for tensor in (*model.graph.input, *model.graph.output)}
    if types != {**dict.fromkeys(INPUTS, TensorProto.INT64), OUTPUT: TensorProto.FLOAT}:
        raise ExportError(f"the graph's inputs must be INT64 and {OUTPUT} FLOAT, not {types}")
    if found := floor().violations(model):
        raise ExportError(f"the pinned Triton (ONNX Runtime {floor().onnxruntime}) does not know {'; '.join(found)}")
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return int(opset), int(model.ir_version)
