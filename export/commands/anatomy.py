"""What is inside a graph: operators, the number formats of its weights layer by layer, opsets; read without weights.

Sizes come from the tensors' shapes, so external data is never loaded.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, TensorProto
from pydantic import BaseModel, ConfigDict, computed_field

from export import ExportError
from export.graph.floor import floor

# Operators of ONNX Runtime that each stand for a handful of the standard's.
FUSED_OPERATORS = frozenset(
    {
        "Attention", "BiasDropout", "BiasGelu", "BiasSplitGelu", "DecoderMaskedMultiHeadAttention",
        "DynamicQuantizeMatMul", "EmbedLayerNormalization", "FastGelu", "FusedGemm", "FusedMatMul", "Gelu",
        "GatedRelativePositionBias", "GroupQueryAttention", "LongformerAttention", "MatMulIntegerToFloat",
        "MultiHeadAttention", "PackedAttention", "PackedMultiHeadAttention", "QAttention",
        "QEmbedLayerNormalization", "QOrderedAttention", "QuickGelu", "RelativePositionBias", "RemovePadding",
        "RestorePadding", "RotaryEmbedding", "SimplifiedLayerNormalization", "SkipLayerNormalization",
        "SkipSimplifiedLayerNormalization",
    }
)  # fmt: skip
CONTRIB_DOMAIN = "com.microsoft"
STANDARD_DOMAIN = "ai.onnx"

EMBEDDINGS, HEAD, OTHER = "embeddings", "head", "other"
# What encoders call their lists of layers: `layer.0` (BERT), `layers.0` (ModernBERT, BART), `h.0` (GPT-2), …
_LAYER = re.compile(r"(?:^|[./_])(?:albert_)?(?:layers?|h|blocks?|attentions|ffns|layer_norm[12])\.(\d+)(?=[./_]|$)")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class Tensor(_Part):
    """An input or output; the shape's free axes are names, or `?`."""

    name: str
    type: str
    shape: list[int | str]


class Operator(_Part):
    """A kind of operator, and how often the graph uses it."""

    name: str
    domain: str
    count: int
    fused: bool


class Layer(_Part):
    """A part of the model: `layer N`, or what comes before or after the layers."""

    name: str
    operators: int
    bytes_by_format: dict[str, int]


class Anatomy(_Part):
    """What a graph consists of."""

    producer: str
    ir_version: int
    opsets: dict[str, int]
    past_triton_floor: list[str]
    """What the pinned Triton does not know; empty if it reads all of it."""
    inputs: list[Tensor]
    outputs: list[Tensor]
    operators: list[Operator]
    layers: list[Layer]
    external_files: list[str]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def bytes_by_format(self) -> dict[str, int]:
        """Size of all weights and constants by number format, largest first."""
        total: Counter[str] = Counter()
        for layer in self.layers:
            total.update(layer.bytes_by_format)
        return dict(total.most_common())


def dissect(path: Path) -> Anatomy:
    """Read the graph in `path`, without its external data.

    Raises:
        ExportError: the file is missing or no ONNX graph.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except FileNotFoundError:
        raise ExportError(f"{path} is missing: export the version again") from None
    except DecodeError:
        raise ExportError(f"{path} is no ONNX graph: export the version again") from None
    graph = model.graph
    initializers = {tensor.name for tensor in graph.initializer}
    opsets = {entry.domain or STANDARD_DOMAIN: entry.version for entry in model.opset_import}
    return Anatomy(
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        ir_version=model.ir_version,
        opsets=opsets,
        past_triton_floor=floor().violations(model),
        # Up to IR version 3, initializers are listed among the inputs.
        inputs=[_tensor(value) for value in graph.input if value.name not in initializers],
        outputs=[_tensor(value) for value in graph.output],
        operators=_operators(graph),
        layers=_layers(graph),
        external_files=sorted({name for tensor in _tensors(graph) for name in _locations(tensor)}),
    )


def _tensor(value: Any) -> Tensor:
    kind = value.type.tensor_type
    shape = [dim.dim_value if dim.HasField("dim_value") else dim.dim_param or "?" for dim in kind.shape.dim]
    return Tensor(name=value.name, type=_format(kind.elem_type), shape=shape)


def _operators(graph: Any) -> list[Operator]:
    counted = Counter((node.domain or STANDARD_DOMAIN, node.op_type) for node in _nodes(graph))
    found = [
        Operator(name=name, domain=domain, count=count, fused=domain == CONTRIB_DOMAIN and name in FUSED_OPERATORS)
        for (domain, name), count in counted.items()
    ]
    return sorted(found, key=lambda operator: (not operator.fused, -operator.count, operator.name))


def _layers(graph: Any) -> list[Layer]:
    """Nodes and weights by the layer that their names, or the names of what they feed, tell; in the model's order."""
    parts = _parts(list(graph.node))
    operators: Counter[str] = Counter()
    weights: dict[str, Counter[str]] = {}

    def add(part: str, tensor: Any) -> None:
        weights.setdefault(part, Counter())[_format(tensor.data_type)] += _bytes(tensor)

    consumer: dict[str, str] = {}
    # Backwards: a weight may reach its product through nodes that only reshape or dequantize it.
    for node, part in zip(reversed(graph.node), reversed(parts), strict=True):
        if part == OTHER:
            part = next((consumer[name] for name in node.output if consumer.get(name, OTHER) != OTHER), OTHER)
        operators[part] += 1
        consumer.update(dict.fromkeys(node.input, part))
        for tensor in _node_tensors(node):
            add(part, tensor)
    for tensor in graph.initializer:
        add(_named_part(tensor.name) or consumer.get(tensor.name, OTHER), tensor)
    names = sorted({*operators, *weights}, key=_place)
    return [
        Layer(name=name, operators=operators[name], bytes_by_format=dict(weights.get(name, Counter()).most_common()))
        for name in names
    ]


def _parts(nodes: list[Any]) -> list[str]:
    """The part that each node's own name or outputs tell; what follows the last layer is the head."""
    named = [_named_part(node.name, *node.output) for node in nodes]
    last = max((place for place, part in enumerate(named) if part and part != EMBEDDINGS), default=len(nodes))
    return [part or (HEAD if place > last else OTHER) for place, part in enumerate(named)]


def _named_part(*names: str) -> str | None:
    for name in names:
        if found := _LAYER.search(name):
            side = "decoder " if "decoder" in name[: found.start()].lower() else ""
            return f"{side}layer {found[1]}"
    return EMBEDDINGS if any("embed" in name.lower() for name in names) else None


def _place(part: str) -> tuple[int, int]:
    if part in (EMBEDDINGS, HEAD, OTHER):
        return {EMBEDDINGS: 0, HEAD: 3, OTHER: 4}[part], 0
    return (2 if part.startswith("decoder") else 1), int(part.rsplit(" ", 1)[1])


def _nodes(graph: Any) -> Iterator[Any]:
    """The nodes of a graph, and of the branches and loops in it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from _nodes(attribute.g)


def _node_tensors(node: Any) -> Iterator[Any]:
    """Constants that a node carries itself, those of its branches included."""
    for attribute in node.attribute:
        if attribute.type == AttributeProto.TENSOR:
            yield attribute.t
        elif attribute.type == AttributeProto.GRAPH:
            yield from _tensors(attribute.g)


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        yield from _node_tensors(node)


def _locations(tensor: Any) -> list[str]:
    if tensor.data_location != TensorProto.EXTERNAL:
        return []
    return [entry.value for entry in tensor.external_data if entry.key == "location"]


def _format(data_type: int) -> str:
    name = str(TensorProto.DataType.Name(data_type)).lower()
    return {"float": "float32", "double": "float64"}.get(name, name)


def _bytes(tensor: Any) -> int:
    """Size from the shape; formats of four bits are packed, two values a byte."""
    name = _format(tensor.data_type)
    if name == "string":
        return sum(len(text) for text in tensor.string_data)
    bits = 4 if name.removeprefix("u") in ("int4", "float4e2m1") else 8 * _item_bytes(tensor.data_type)
    return -(-math.prod(int(dim) for dim in tensor.dims) * bits // 8)


def _item_bytes(data_type: int) -> int:
    return int(onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize)
