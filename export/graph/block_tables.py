"""A word embedding that came in blocks of small whole numbers is stored so: the same values in a seventh of the bytes.

The table of a multilingual encoder is most of its weights. Where it was taken from four-bit blocks (see
`training.encoders.e5_encoder`) and left as it was in training, each 32 weights of a row are whole numbers times one
scale. The graph then looks up the numbers (two a byte, or INT8 where four bits do not hold them) and the scales
(FLOAT16) of its tokens, and multiplies: not one bit of what follows is another. Any other table, which is nearly every
one, stays as it is, but for a graph in int8: that may round it to INT8 numbers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo

from export.graph.weights import is_stored, store
from pretrained.inputs import INPUT_IDS
from repository.inference import Float32Array

Numbers = npt.NDArray[np.int8]
Scales = npt.NDArray[np.float16]

BLOCK = 32
# Of four bits, counted from zero: the smallest of a block that is not zero is one of these times the scale.
_SMALLEST = range(1, 9)
_LARGEST = 127
# The least number that half a byte stands for.
_LEAST = -8
# Of a byte that holds two numbers, what each half is.
_HALVES = np.stack([np.arange(256) % 16, np.arange(256) // 16], axis=1).astype(np.float32) + _LEAST
# Enough to see that a table is none; and what is looked at in one go, to take little memory.
_FIRST_ROWS, _ROWS = 64, 8192
_DATA = "blocks.data"
_TYPES = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float16": TensorProto.FLOAT16}


def holds_blocks(model: Any, folder: Path) -> bool:
    """Whether the table that token ids are looked up in consists of such blocks.

    Args:
        model: ONNX `ModelProto`, before fusions.
        folder: where its large weights lie.
    """
    return any(_blocks_of(table) is not None for _, _, table in _lookups(model, folder))


def store_in_blocks(model: Any, folder: Path, rounded: bool = False) -> None:
    """Put numbers and scales in the place of each such table, in place; both are written to a file in `folder`.

    Args:
        model: ONNX `ModelProto`.
        folder: where its large weights lie.
        rounded: round any other table to INT8 numbers.
    """
    for node, tensor, table in _lookups(model, folder):
        found = _blocks_of(table) or (_rounded(table) if rounded else None)
        if found is None:
            continue
        parts = []
        with (folder / _DATA).open("ab") as stream:
            for kind, values in zip(("numbers", "scales"), _packed(*found), strict=True):
                part = TensorProto(name=f"{tensor.name}/{kind}", dims=values.shape, data_type=_TYPES[str(values.dtype)])
                store(part, [values.tobytes()], stream, _DATA)
                parts.append(part)
        _replace(model.graph, node, tensor, parts, table.shape[1])


def _lookups(model: Any, folder: Path) -> Iterator[tuple[Any, Any, Float32Array]]:
    """Yield node, initializer and values of each table that only token ids are looked up in."""
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    uses = [name for node in model.graph.node for name in node.input]
    for node in list(model.graph.node):
        if node.op_type != "Gather" or node.input[1] != INPUT_IDS or any(entry.i for entry in node.attribute):
            continue
        tensor = tensors.get(node.input[0])
        if tensor is None or tensor.data_type != TensorProto.FLOAT or uses.count(tensor.name) > 1:
            continue
        if len(tensor.dims) == 2 and tensor.dims[1] % BLOCK == 0:
            yield node, tensor, _values(tensor, folder)


def _values(tensor: Any, folder: Path) -> Float32Array:
    if not is_stored(tensor):
        return np.asarray(numpy_helper.to_array(tensor))
    info = ExternalDataInfo(tensor)
    return np.memmap(folder / info.location, np.float32, "r", int(info.offset or 0), tuple(tensor.dims))


def _blocks_of(table: Float32Array) -> tuple[Numbers, Scales] | None:
    """Numbers `[rows, columns]` and scales `[rows, columns / 32]` whose products are the table, bit by bit."""
    if _split(table[:_FIRST_ROWS]) is None:
        return None
    parts = [_split(table[start : start + _ROWS]) for start in range(0, len(table), _ROWS)]
    whole = [part for part in parts if part is not None]
    if len(whole) < len(parts):
        return None
    numbers, scales = zip(*whole, strict=True)
    return np.concatenate(numbers), np.concatenate(scales)


def _split(rows: Float32Array) -> tuple[Numbers, Scales] | None:
    blocks = np.ascontiguousarray(rows).reshape(-1, BLOCK)
    sizes = np.abs(blocks)
    smallest = np.where(sizes > 0, sizes, np.inf).min(axis=1)
    numbers = np.zeros(blocks.shape, np.int8)
    scales = np.zeros(len(blocks), np.float16)
    left = np.flatnonzero(np.isfinite(smallest))
    for times in _SMALLEST:
        tried = (smallest[left] / np.float32(times)).astype(np.float16)
        steps = tried.astype(np.float32)[:, None]
        with np.errstate(all="ignore"):
            counts = np.rint(blocks[left] / steps)
            fits = ((counts * steps == blocks[left]) & (np.abs(counts) <= _LARGEST)).all(axis=1)
        numbers[left[fits]], scales[left[fits]] = counts[fits].astype(np.int8), tried[fits]
        left = left[~fits]
    if len(left):
        return None
    return numbers.reshape(rows.shape), scales.reshape(len(rows), -1)


def _rounded(table: Float32Array) -> tuple[Numbers, Scales]:
    """The nearest numbers `[rows, columns]` to a table, and the scales that let the largest of each block fit."""
    numbers, scales = np.empty(table.shape, np.int8), np.empty((len(table), table.shape[1] // BLOCK), np.float16)
    for start in range(0, len(table), _ROWS):
        blocks = np.ascontiguousarray(table[start : start + _ROWS]).reshape(-1, BLOCK)
        steps = (np.abs(blocks).max(axis=1) / _LARGEST).astype(np.float16)
        whole = steps.astype(np.float32)[:, None]
        counts = np.rint(np.divide(blocks, whole, out=np.zeros_like(blocks), where=whole > 0))
        numbers[start : start + _ROWS] = np.clip(counts, -_LARGEST, _LARGEST).reshape(-1, table.shape[1])
        scales[start : start + _ROWS] = steps.reshape(-1, scales.shape[1])
    return numbers, scales


def _packed(numbers: Numbers, scales: Scales) -> tuple[npt.NDArray[Any], Scales]:
    """Two numbers a byte `[rows, columns / 2]`, where all fit into -8 to 7; else as they are."""
    if numbers.min() < _LEAST or numbers.max() > -_LEAST:
        return numbers, scales
    blocks = numbers.reshape(-1, BLOCK)
    # Minus both is the same value: a block that reaches to 8 has, of four bits, no -8.
    signs = np.where(blocks.max(axis=1) == -_LEAST, np.int8(-1), np.int8(1))
    halves = (blocks * signs[:, None] - np.int8(_LEAST)).reshape(numbers.shape).astype(np.uint8)
    if halves.max() > 15:
        return numbers, scales
    return halves[:, ::2] | (halves[:, 1::2] << 4), scales * signs.reshape(scales.shape).astype(np.float16)


def _replace(graph: Any, lookup: Any, tensor: Any, parts: list[Any], width: int) -> None:
    numbers, scales = parts
    output, ids = lookup.output[0], lookup.input[1]
    shapes = {
        f"{output}/in_blocks": [0, 0, width // BLOCK, BLOCK],
        f"{output}/last": [-1],
        f"{output}/in_rows": [0, 0, width],
    }
    in_blocks, last, in_rows = shapes
    at = f"{output}/"
    if numbers.data_type == TensorProto.UINT8:
        halves = numpy_helper.from_array(_HALVES, f"{at}halves")
        graph.initializer.append(halves)
        looked_up = [
            helper.make_node("Cast", [f"{at}numbers"], [f"{at}pairs"], name=f"{at}pairs", to=TensorProto.INT32),
            helper.make_node("Gather", [halves.name, f"{at}pairs"], [f"{at}counts"], name=f"{at}counts"),
        ]
    else:
        looked_up = [
            helper.make_node("Cast", [f"{at}numbers"], [f"{at}counts"], name=f"{at}counts", to=TensorProto.FLOAT)
        ]
    nodes = [
        helper.make_node("Gather", [numbers.name, ids], [f"{at}numbers"], name=f"{at}numbers"),
        *looked_up,
        helper.make_node("Reshape", [f"{at}counts", in_blocks], [f"{at}blocks"], name=f"{at}blocks"),
        helper.make_node("Gather", [scales.name, ids], [f"{at}scales"], name=f"{at}scales"),
        helper.make_node("Cast", [f"{at}scales"], [f"{at}steps"], name=f"{at}steps", to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", [f"{at}steps", last], [f"{at}columns"], name=f"{at}columns"),
        helper.make_node("Mul", [f"{at}blocks", f"{at}columns"], [f"{at}products"], name=f"{at}products"),
        helper.make_node("Reshape", [f"{at}products", in_rows], [output], name=lookup.name or output),
    ]
    place = next(index for index, node in enumerate(graph.node) if node.output[0] == output)
    del graph.node[place]
    for offset, node in enumerate(nodes):
        graph.node.insert(place + offset, node)
    graph.initializer.remove(tensor)
    graph.initializer.extend(parts)
    graph.initializer.extend(numpy_helper.from_array(np.array(shape, np.int64), name) for name, shape in shapes.items())
