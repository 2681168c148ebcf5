"""Checkpoint → optimized ONNX graph with the inputs and the output that every served model has."""

import contextlib
import io
from pathlib import Path
from typing import Any

import optimum.exporters.onnx.model_configs  # noqa: F401  registers what TasksManager knows
from onnx import TensorProto
from onnxruntime.transformers.fusion_options import FusionOptions
from onnxruntime.transformers.onnx_model import OnnxModel
from onnxruntime.transformers.optimizer import optimize_model
from optimum.exporters.onnx.config import TextEncoderOnnxConfig
from optimum.exporters.tasks import TasksManager
from optimum.utils import NormalizedTextConfig

from export import ExportError
from export.checkpoint.layout import Layout
from export.checkpoint.load import Checkpoint
from export.graph.block_tables import holds_blocks
from export.graph.floor import OPSET, STANDARD, floor, nodes_of
from export.graph.packed import pack
from export.graph.token_type_mask import fold_token_types
from export.graph.tracing import trace
from export.graph.weights import read_skeleton, read_structure
from pretrained.architectures import architecture_of
from pretrained.inputs import TOKEN_TYPE_IDS
from repository.manifest import INPUTS, OUTPUT


def export_graph(checkpoint: Checkpoint, folder: Path) -> Path:
    """Trace the model into `folder/raw.onnx`: INT64 `input_ids` and `attention_mask` `[batch, sequence]` → `logits`.

    A model that tells two texts apart has `token_type_ids` as a third input here, which `optimize_graph` takes away.
    Inputs that the architecture also knows are left to the model's own default (zeros for `token_type_ids`, the count
    for position ids), which the tracer folds into the graph.

    Raises:
        ExportError: the tracer fails on this model.
    """
    path = folder / "raw.onnx"
    names = (*INPUTS, TOKEN_TYPE_IDS) if checkpoint.token_types else INPUTS
    onnx_config = _with_inputs(_onnx_config(checkpoint.model), names)
    try:
        trace(checkpoint.model, onnx_config, path, OPSET)
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


def _with_inputs(onnx_config: Any, names: tuple[str, ...]) -> Any:
    base = type(onnx_config)

    class ChosenInputs(base):  # type: ignore[misc, valid-type]
        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            described = super().inputs
            return {name: described.get(name, described[INPUTS[0]]) for name in names}

    onnx_config.__class__ = ChosenInputs
    return onnx_config


def optimize_graph(raw: Path, model_config: Any, layout: Layout = Layout.FUSED) -> Any:
    """Fuse LayerNorm and GELU, and attention where that is known to be right; ONNX Runtime's `OnnxModel` in float32.

    `opt_level=0`: only the hardware-independent fusions of onnxruntime.transformers are written into the file. The
    session does the rest when it loads, for the processor it finds. Weights that lie beside `raw` stay there. The
    graph has the two inputs of every served model.

    Raises:
        ExportError: the graph cannot be packed, or not be made of the standard's operators alone.
    """
    skeleton = read_skeleton(raw)
    if layout is Layout.PLAIN:
        return _plain(skeleton)
    # One optimizer for all: of the others, those for BART, GPT-2 and Qwen 3 either fuse no more or fuse wrongly here.
    options = FusionOptions("bert")
    if not architecture_of(model_config).fuses_attention:
        # Fused, rotary embeddings of any decoder fail on every batch of two.
        options.enable_attention = False
        options.enable_embed_layer_norm = False
        options.enable_rotary_embeddings = False
    if holds_blocks(skeleton, raw.parent):
        options.enable_embed_layer_norm = False  # the fused operator takes a table of floats alone
    # Fusion reads a few weights by the names of their files, from the current folder. Shape inference prints its
    # failures; what it cannot infer is left unfused.
    with contextlib.chdir(raw.parent), contextlib.redirect_stdout(io.StringIO()):
        optimized = optimize_model(
            skeleton,
            model_type="bert",
            num_heads=getattr(model_config, "num_attention_heads", 0) or 0,
            hidden_size=getattr(model_config, "hidden_size", 0) or 0,
            optimization_options=options,
            opt_level=0,
        )
    fold_token_types(optimized.model)
    if layout is Layout.PACKED:
        pack(optimized)
    return optimized


def _plain(skeleton: Any) -> Any:
    """The graph as it was traced, with the two inputs; nothing is fused, so that a CPU or CUDA do that on load."""
    plain = OnnxModel(skeleton)
    fold_token_types(plain.model)
    if foreign := sorted({node.op_type for node in nodes_of(skeleton.graph) if node.domain not in STANDARD}):
        raise ExportError(f"no plain graph can be made of this model: it has {', '.join(foreign)}, not of the standard")
    return plain


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
    tensors = (*model.graph.input, *model.graph.output)
    types = {tensor.name: tensor.type.tensor_type.elem_type for tensor in tensors}
    if types != {**dict.fromkeys(INPUTS, TensorProto.INT64), OUTPUT: TensorProto.FLOAT}:
        raise ExportError(f"the graph's inputs must be INT64 and {OUTPUT} FLOAT, not {types}")
    free = {tensor.name: [bool(axis.dim_param) for axis in tensor.type.tensor_type.shape.dim] for tensor in tensors}
    fits = all(free[name] == [True, True] for name in INPUTS) and len(free[OUTPUT]) == 2 and free[OUTPUT][0]
    if not fits:
        raise ExportError("the graph must take any batch and length, and give logits [batch, labels]: an axis is fixed")
    if found := floor().violations(model):
        raise ExportError(f"the pinned Triton (ONNX Runtime {floor().onnxruntime}) does not know {'; '.join(found)}")
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return int(opset), int(model.ir_version)
