"""The binary tensor data extension of KServe's v2 protocol: strings behind a request's JSON, and tensors behind an
answer's.

An element of a BYTES tensor is four bytes of its length, the least significant first, and then its own bytes; one of
FP32 is its four bytes, the least significant first.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.errors import MalformedBodyError, TooManySentencesError

LENGTH = struct.Struct("<I")
SIZE = "binary_data_size"


def strings_of(data: bytes, most: int) -> list[str]:
    """The elements of a BYTES tensor.

    Raises:
        MalformedBodyError: a length leads past the end, or an element is not UTF-8.
        TooManySentencesError: there are more than `most`.
    """
    found: list[str] = []
    place = 0
    while place < len(data):
        if len(found) == most:
            raise TooManySentencesError(f"The request has more than {most} texts, which is the most that is taken.")
        end = place + LENGTH.size
        if end > len(data):
            raise MalformedBodyError("The binary data of input 'text' ends within the length of an element.")
        (length,) = LENGTH.unpack_from(data, place)
        place = end + length
        if place > len(data):
            raise MalformedBodyError("The binary data of input 'text' ends within an element.")
        try:
            found.append(data[end:place].decode())
        except UnicodeDecodeError:
            raise MalformedBodyError(f"Element {len(found)} of input 'text' is not UTF-8.") from None
    return found


def as_plain_json(body: bytes, json_bytes: int, most: int) -> bytes:
    """A request with binary data as the request in JSON alone that it stands for.

    Args:
        body: JSON, and the binary data of its inputs behind it, in their order.
        json_bytes: how many of its bytes are JSON.
        most: most texts of a request.

    Raises:
        MalformedBodyError: the body is not so.
        TooManySentencesError: there are more texts.
    """
    if not 0 <= json_bytes <= len(body):
        raise MalformedBodyError(
            f"Inference-Header-Content-Length is {json_bytes}, and the body has {len(body)} bytes."
        )
    head = _object(body[:json_bytes])
    place = json_bytes
    inputs = head.get("inputs")
    for each in inputs if isinstance(inputs, list) else []:
        parameters = each.get("parameters") if isinstance(each, dict) else None
        if not isinstance(parameters, dict) or SIZE not in parameters:
            continue
        size = parameters.pop(SIZE)
        if type(size) is not int or not 0 <= size <= len(body) - place:
            raise MalformedBodyError(f"An input's {SIZE} does not fit the {len(body) - place} bytes that are left.")
        each["data"] = strings_of(body[place : place + size], most)
        place += size
    if place != len(body):
        raise MalformedBodyError(f"There are {len(body) - place} bytes behind the binary data of the inputs.")
    return json.dumps(head).encode()


def strings_tensor(elements: Sequence[str]) -> bytes:
    """The bytes of a BYTES tensor."""
    parts = [element.encode() for element in elements]
    return b"".join(piece for part in parts for piece in (LENGTH.pack(len(part)), part))


def floats_tensor(rows: Sequence[npt.NDArray[np.floating[Any]]]) -> bytes:
    """The bytes of an FP32 tensor, row by row."""
    return np.stack(rows).astype("<f4").tobytes()


def _object(text: bytes) -> dict[str, Any]:
    try:
        head = json.loads(text)
    except (ValueError, RecursionError):
        raise MalformedBodyError("The JSON that Inference-Header-Content-Length delimits is not valid.") from None
    if not isinstance(head, dict):
        raise MalformedBodyError("The JSON that Inference-Header-Content-Length delimits is no object.")
    return head
