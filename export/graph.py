"""Checkpoint → optimized ONNX graph with the inputs and the output that every served model has."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import onnx
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.optimizer import optimize_model
from optimum.exporters.onnx import export as optimum_export
from optimum.exporters.onnx.config import TextEncoderOnnxConfig
from optimum.exporters.tasks import TasksManager
from optimum.utils import NormalizedTextConfig

from export import ExportError
from export.architectures import architecture_of
from export.checkpoint import Checkpoint
from repository.manifest import INPUTS, OUTPUT

# Floor of the pinned Triton image (24.10): ONNX Runtime 1.19 reads opset 21 and IR version 10. 17 is the first
# opset with LayerNormalization as one operator.
OPSET = 17
NEWEST_OPSET = 21
NEWEST_IR_VERSION = 10


def export_graph(checkpoint: Checkpoint, folder: Path) -> Path:
    """Trace the model into `folder/raw.onnx`: INT64 `input_ids` and `attention_mask` `[batch, sequence]` → `logits`.

    Inputs that the architecture also knows are left to the model's own default (zeros for `token_type_ids`, the count
    for position ids), which the tracer folds into the graph.

    Raises:
        ExportError: the tracer fails on this model.
    """
    path = folder / "raw.onnx"
    onnx_config = _with_uniform_inputs(_onnx_config(checkpoint.model))
    with warnings.catch_warnings():
        # The tracer warns of every Python value it takes for a constant; the parity check tells whether that matters.
        warnings.simplefilter("ignore")
        try:
            optimum_export(model=checkpoint.model, config=onnx_config, output=path, opset=OPSET)
        except Exception as error:  # anything, by what the model does
            raise ExportError(
                f"{checkpoint.name}: the architecture {checkpoint.model.config.model_type} cannot be traced: "
                f"{' '.join(str(error).split())[:200]}"
            ) from None
    return path


def _onnx_config(model: Any) -> Any:
    """optimum's description of the architecture, or one for any text model where optimum has none.

    Either way `torch.onnx.export` traces (TorchScript) under optimum's patches: masks without vmap, no cache.
    """
    try:
        constructor = TasksManager.get_exporter_config_constructor(
            "onnx", model=model, task="text-classification", library_name="transformers"
        )
    except (KeyError, ValueError):
        constructor = AnyTextOnnxConfig
    return constructor(model.config, task="text-classification")


class AnyTextOnnxConfig(TextEncoderOnnxConfig):  # type: ignore[misc]
    """A text model of which optimum knows no more than that it reads tokens."""

    NORMALIZED_CONFIG_CLASS = NormalizedTextConfig

    @property
    def inputs(self) -> dict[str, dict[int, str]]:
        """Names of the axes that are dynamic, by input."""
        return {name: {0: "batch_size", 1: "sequence_length"} for name in INPUTS}


def _with_uniform_inputs(onnx_config: Any) -> Any:
    base = type(onnx_config)

    class UniformInputs(base):  # type: ignore[misc, valid-type]
        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            return {name: axes for name, axes in super().inputs.items() if name in INPUTS}

    onnx_config.__class__ = UniformInputs
    return onnx_config


def optimize_graph(raw: Path, model_config: Any) -> Any:
    """Fuse LayerNorm and GELU, and attention where that is known to be right; ONNX Runtime's `OnnxModel` in float32.

    `opt_level=0`: only the hardware-independent fusions of onnxruntime.transformers are written into the file. The
    session does the rest when it loads, for the processor it finds.
    """
    # One optimizer for all: of the others, those for BART, GPT-2 and Qwen 3 either fuse no more or fuse wrongly here.
    options = FusionOptions("bert")
    if not architecture_of(model_config).fuses_attention:
        # Fused, rotary embeddings of any decoder fail on every batch of two.
        options.enable_attention = False
        options.enable_embed_layer_norm = False
        options.enable_rotary_embeddings = False
    # Shape inference prints its failures; what it cannot infer is left unfused.
    with contextlib.redirect_stdout(io.StringIO()):
        return optimize_model(
            str(raw),
            model_type="bert",
            num_heads=getattr(model_config, "num_attention_heads", 0) or 0,
            hidden_size=getattr(model_config, "hidden_size", 0) or 0,
            optimization_options=options,
            opt_level=0,
        )


def check_graph(path: Path) -> tuple[int, int]:
    """Check that a graph is what Triton's config promises; returns (opset, IR version).

    Raises:
        ExportError: inputs or output differ, or the opset or IR version is past what the pinned Triton reads.
    """
    model = onnx.load(path, load_external_data=False)
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    inputs = tuple(sorted(tensor.name for tensor in model.graph.input))
    outputs = tuple(tensor.name for tensor in model.graph.output)
    if inputs != tuple(sorted(INPUTS)) or outputs != (OUTPUT,):
        raise ExportError(f"the graph takes {inputs} and gives {outputs}; {INPUTS} and {OUTPUT!r} are needed")
    types = {tensor.name: tensor.type.tensor_type.elem_type for tensor in (*model.graph.input, *model.graph.output)}
    if types != {**dict.fromkeys(INPUTS, onnx.TensorProto.INT64), OUTPUT: onnx.TensorProto.FLOAT}:
        raise ExportError(f"the graph's inputs must be INT64 and {OUTPUT} FLOAT, not {types}")
    if opset > NEWEST_OPSET or model.ir_version > NEWEST_IR_VERSION:
        raise ExportError(f"opset {opset} and IR version {model.ir_version} are newer than the pinned Triton reads")
    return int(opset), int(model.ir_version)
