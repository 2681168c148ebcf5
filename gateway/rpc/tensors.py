"""How does text travel in tensors? As the Open Inference Protocol has it: BYTES, listed or packed."""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np

from gateway.encoding import Text
from gateway.errors import InvalidRequestError
from gateway.rpc.messages import message
from repository.inference import Float32Array

TEXT, LABEL, SCORES = "text", "label", "scores"
OUTPUTS = (LABEL, SCORES)
OTHER_CONTENTS = ("bool", "int", "int64", "uint", "uint64", "fp32", "fp64")

InferOutputTensor = message("inference.ModelInferResponse.InferOutputTensor")


def texts_in(request: Any) -> list[Text]:
    """The texts of a `ModelInferRequest`.

    Raises:
        InvalidRequestError: it has another input, another shape, or contents that do not fit to these.
    """
    if len(request.inputs) != 1 or request.inputs[0].name != TEXT:
        named = ", ".join(tensor.name[:40] or "one without a name" for tensor in request.inputs[:3]) or "none"
        raise InvalidRequestError(f"The model has one input, `{TEXT}`; the request has {named}.")
    tensor = request.inputs[0]
    if tensor.datatype != "BYTES":
        raise InvalidRequestError(f"`{TEXT}` is of the type BYTES, not {tensor.datatype[:40] or 'without a type'}.")
    shape = list(tensor.shape)
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] < 1:
        raise InvalidRequestError(f"`{TEXT}` has the shape [n] or [n, 1], not {shape[:6]}.")
    elements = _elements(request, tensor)
    if len(elements) != shape[0]:
        raise InvalidRequestError(f"`{TEXT}` has {len(elements)} elements; its shape says {shape[0]}.")
    return [Text(_utf_8(element, place)) for place, element in enumerate(elements, start=1)]


def _elements(request: Any, tensor: Any) -> Sequence[bytes]:
    raw = request.raw_input_contents
    if not raw:
        if any(getattr(tensor.contents, f"{kind}_contents") for kind in OTHER_CONTENTS):
            raise InvalidRequestError(f"`{TEXT}` stands in bytes_contents or in raw_input_contents.")
        elements: Sequence[bytes] = tensor.contents.bytes_contents
        return elements
    if len(raw) != 1 or tensor.HasField("contents"):
        raise InvalidRequestError("Give raw_input_contents once for each input, and then no contents, or leave it out.")
    return unpacked(raw[0])


def unpacked(packed: bytes) -> list[bytes]:
    """The elements of a packed BYTES tensor: each has its length before it, in four bytes, the lowest first.

    Raises:
        InvalidRequestError: it ends within an element.
    """
    found: list[bytes] = []
    place = 0
    while place < len(packed):
        start = place + 4
        if start > len(packed):
            raise InvalidRequestError(f"raw_input_contents ends within the length of element {len(found) + 1}.")
        (length,) = struct.unpack_from("<I", packed, place)
        place = start + length
        if place > len(packed):
            raise InvalidRequestError(f"raw_input_contents ends within element {len(found) + 1}.")
        found.append(packed[start:place])
    return found


def _packed(elements: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(element)) + element for element in elements)


def _utf_8(element: bytes, place: int) -> str:
    try:
        return element.decode()
    except UnicodeDecodeError:
        raise InvalidRequestError(f"Element {place} of `{TEXT}` is not UTF-8.") from None


def outputs_wanted(request: Any) -> Sequence[str]:
    """Which outputs are asked for, in that order; all where none is named. Raises InvalidRequestError: none."""
    wanted = [tensor.name for tensor in request.outputs]
    for name in wanted:
        if name not in OUTPUTS:
            raise InvalidRequestError(f"The model has the outputs {' and '.join(OUTPUTS)}, and no {name[:40]!r}.")
    if len(set(wanted)) != len(wanted):
        raise InvalidRequestError("An output is asked for twice.")
    return wanted or OUTPUTS


def put_outputs(
    response: Any, wanted: Sequence[str], labels: Sequence[str], scores: Float32Array, raw: bool, order: str
) -> None:
    """Put the outputs that are wanted into a `ModelInferResponse`.

    Args:
        response: takes them.
        wanted: their names.
        labels: the label of each text.
        scores: `[texts, labels]`.
        raw: pack them.
        order: which label is in which column, as JSON.
    """
    for name in wanted:
        if name == LABEL:
            encoded = [label.encode() for label in labels]
            tensor = InferOutputTensor(name=LABEL, datatype="BYTES", shape=[len(encoded)])
            if raw:
                response.raw_output_contents.append(_packed(encoded))
            else:
                tensor.contents.bytes_contents.extend(encoded)
        else:
            tensor = InferOutputTensor(name=SCORES, datatype="FP32", shape=scores.shape)
            tensor.parameters["labels"].string_param = order
            if raw:
                response.raw_output_contents.append(scores.astype("<f4", copy=False).tobytes())
            else:
                tensor.contents.fp32_contents.extend(np.ravel(scores).tolist())
        response.outputs.append(tensor)
