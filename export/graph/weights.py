"""Where a graph's weights lie: beside it while it is worked on, inside `model.onnx` or in `model.onnx.data` at the end.

An ONNX `ModelProto` that holds its weights is copied several times on its way through tracing, fusion and conversion:
seven times the checkpoint was seen. So between the stages large weights stay in a file of their own, to which the
graph only points (ONNX's external data), and the file that is served is written piece by piece.
"""

import math
import mmap
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import onnx
from onnx.external_data_helper import ExternalDataInfo, set_external_data

from export.graph.floor import import_used_domains, nodes_of

DATA_SUFFIX = ".data"
# protobuf reads no message of 2 GiB; the rest of the graph is small.
EMBEDDED_LIMIT_BYTES = 2**31 - 2**24
# Smaller tensors (shapes, scalars, biases) stay in the graph, where fusion looks at their values.
LARGE_BYTES = 64 * 1024
# ONNX Runtime maps data into memory, which works at page boundaries.
ALIGNMENT_BYTES = 4096
PIECE_BYTES = 16 * 2**20


def write_model(model: Any, path: Path, weights: Path, embedded_limit_bytes: int = EMBEDDED_LIMIT_BYTES) -> None:
    """Write a graph whose large weights may lie in files of the folder `weights`; what `path` was before is gone.

    Args:
        model: ONNX `ModelProto`. A weight that is declared FLOAT16 but lies in its file as FLOAT is converted.
        path: file to write. Past the limit the large weights go to a second file, named as `path` with `.data` after.
        weights: folder of the files that the model's weights lie in; must not be the folder of `path`.
        embedded_limit_bytes: size from which the weights are written beside the graph.
    """
    data = path.with_name(path.name + DATA_SUFFIX)
    for old in (path, data):
        old.unlink(missing_ok=True)
    import_used_domains(model)
    graph = onnx.ModelProto()
    graph.CopyFrom(model)
    _take_in_constants(graph.graph, weights)
    large = [tensor for tensor in graph.graph.initializer if _is_large(tensor)]
    if graph.ByteSize() + sum(map(content_bytes, large)) > embedded_limit_bytes:
        with data.open("wb") as stream:
            for tensor in large:
                store(tensor, pieces(tensor, weights), stream, data.name)
        path.write_bytes(graph.SerializeToString())
        return
    small = [tensor for tensor in graph.graph.initializer if not _is_large(tensor)]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(small)
    with path.open("wb") as stream:
        _write_embedded(graph, large, weights, stream)


def store(tensor: Any, content: Iterable[bytes], stream: BinaryIO, location: str) -> None:
    """Append a tensor's content to the data file `location`, open as `stream`, and let the tensor point to it."""
    stream.write(b"\0" * (-stream.tell() % ALIGNMENT_BYTES))
    offset = stream.tell()
    for piece in content:
        stream.write(piece)
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.raw_data = b""  # set_external_data wants a tensor with this field
    set_external_data(tensor, location, offset, stream.tell() - offset)
    tensor.ClearField("raw_data")


def read_skeleton(path: Path) -> Any:
    """The graph of a file without its large weights; those that are beside it stay there."""
    return onnx.load(path, load_external_data=False)


def read_structure(path: Path) -> Any:
    """A graph without its large weights, wherever they lie: to look at, not to run. A large file is not read whole."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        kept = []
        for number, start, inside, end in _fields(content, 0, len(content)):
            if number != GRAPH_FIELD:
                kept.append(content[start:end])
                continue
            parts = [
                content[part_start:part_end]
                for part, part_start, _, part_end in _fields(content, inside, end)
                if part != INITIALIZER_FIELD or part_end - part_start < LARGE_BYTES
            ]
            kept += [_head(GRAPH_FIELD, sum(map(len, parts))), *parts]
        return onnx.ModelProto.FromString(b"".join(kept))


def is_stored(tensor: Any) -> bool:
    """Whether a tensor's content lies in a file of its own."""
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def content_bytes(tensor: Any) -> int:
    """Size of a tensor's content once it is written, in its declared type."""
    width: int = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    return int(math.prod(tensor.dims) * width)


def pieces(tensor: Any, folder: Path) -> Iterator[bytes]:
    """The content of a tensor in its declared type, a few megabytes at a time."""
    if not is_stored(tensor):
        yield tensor.raw_data or onnx.numpy_helper.to_array(tensor).tobytes()
        return
    info = ExternalDataInfo(tensor)
    convert = tensor.data_type == onnx.TensorProto.FLOAT16 and info.length == 2 * content_bytes(tensor)
    with (folder / info.location).open("rb") as stream:
        stream.seek(info.offset or 0)
        left = int(info.length)
        while left:
            piece = stream.read(min(PIECE_BYTES, left))
            if not piece:
                raise EOFError(f"{folder / info.location} ends within {tensor.name}")
            left -= len(piece)
            yield np.frombuffer(piece, np.float32).astype(np.float16).tobytes() if convert else piece


def _take_in_constants(graph: Any, folder: Path) -> None:
    """Constants inside nodes stay in the graph; a quantizer may have put them beside it."""
    for node in nodes_of(graph):
        for attribute in node.attribute:
            if is_stored(attribute.t):
                content = b"".join(pieces(attribute.t, folder))
                del attribute.t.external_data[:]
                attribute.t.data_location = onnx.TensorProto.DEFAULT
                attribute.t.raw_data = content


def _is_large(tensor: Any) -> bool:
    return is_stored(tensor) or content_bytes(tensor) >= LARGE_BYTES


def _write_embedded(model: Any, large: list[Any], folder: Path, stream: BinaryIO) -> None:
    """Write a `ModelProto` and, as further initializers of its graph, the large tensors, each piece by piece."""
    inner = model.graph.SerializeToString()
    model.ClearField("graph")
    stream.write(model.SerializeToString())
    heads = []
    for tensor in large:
        described = onnx.TensorProto(name=tensor.name, dims=tensor.dims, data_type=tensor.data_type)
        size = content_bytes(tensor)
        head = described.SerializeToString() + _head(RAW_DATA_FIELD, size)
        heads.append(_head(INITIALIZER_FIELD, len(head) + size) + head)
    stream.write(_head(GRAPH_FIELD, len(inner) + sum(map(len, heads)) + sum(map(content_bytes, large))))
    stream.write(inner)
    for tensor, head in zip(large, heads, strict=True):
        stream.write(head)
        for piece in pieces(tensor, folder):
            stream.write(piece)


# protobuf's wire format (protobuf.dev/programming-guides/encoding): a field is a tag, its number * 8 + its wire type,
# and a value: for type 0 a varint, for type 1 or 5 eight or four bytes, for type 2 a length and so many bytes.
GRAPH_FIELD, INITIALIZER_FIELD, RAW_DATA_FIELD = 7, 5, 9


def _fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Number, start, start of the value, and end of each field of the message in `content[start:end]`."""
    while start < end:
        tag, inside = _read_varint(content, start)
        if tag & 7 == 2:
            length, inside = _read_varint(content, inside)
            after = inside + length
        elif tag & 7 == 0:
            _, after = _read_varint(content, inside)
        else:
            after = inside + (8 if tag & 7 == 1 else 4)
        yield tag >> 3, start, inside, after
        start = after


def _head(number: int, length: int) -> bytes:
    return _varint(number * 8 + 2) + _varint(length)


def _read_varint(content: mmap.mmap, place: int) -> tuple[int, int]:
    value = shift = 0
    while content[place] & 0x80:
        value |= (content[place] & 0x7F) << shift
        place, shift = place + 1, shift + 7
    return value | content[place] << shift, place + 1


def _varint(value: int) -> bytes:
    content = bytearray()
    while value > 0x7F:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    content.append(value)
    return bytes(content)
