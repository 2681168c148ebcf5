"""Binary tensors are those that Triton's own client writes and reads."""

import json
import random

import numpy as np
import pytest
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from gateway.dialects.kserve_tensors import as_plain_json, floats_tensor, strings_of, strings_tensor
from gateway.errors import MalformedBodyError, TooManySentencesError

TEXTS = ["", "cat", "猫 дуб 🦊", "a\0b", "x" * 70_000]


def test_strings_are_written_and_read_as_triton_s_client_does() -> None:
    theirs = serialize_byte_tensor(np.array([text.encode() for text in TEXTS], dtype=np.object_)).item()
    assert strings_tensor(TEXTS) == theirs
    assert strings_of(theirs, len(TEXTS)) == TEXTS
    assert [each.decode() for each in deserialize_bytes_tensor(strings_tensor(TEXTS))] == TEXTS
    assert strings_of(b"", 0) == []


def test_floats_are_little_endian_rows() -> None:
    rows = [np.array([0.25, -1.5], dtype=np.float32), np.array([1e-30, 3.0], dtype=np.float32)]
    assert np.frombuffer(floats_tensor(rows), dtype="<f4").tolist() == np.concatenate(rows).tolist()


def test_no_bytes_are_read_as_something_else_than_an_error() -> None:
    source = random.Random(1)
    read = 0
    for _ in range(5000):
        data = source.randbytes(source.randrange(24))
        if source.random() < 0.5:
            data = strings_tensor(["cat", "oak"][: source.randrange(3)]) + data[: source.randrange(3)]
        try:
            found = strings_of(data, 3)
        except (MalformedBodyError, TooManySentencesError):
            continue
        read += 1
        assert strings_tensor(found) == data
    assert read > 100


def test_each_input_gets_its_own_bytes() -> None:
    first, second = strings_tensor(["cat"]), strings_tensor(["oak", "stone"])
    head = {
        "id": "7",
        "inputs": [
            {"name": "a", "parameters": {"binary_data_size": len(first)}},
            {"name": "plain", "data": ["x"]},
            {"name": "b", "parameters": {"binary_data_size": len(second), "other": 1}},
        ],
    }
    text = json.dumps(head).encode()
    assert json.loads(as_plain_json(text + first + second, len(text), 9)) == {
        "id": "7",
        "inputs": [
            {"name": "a", "parameters": {}, "data": ["cat"]},
            {"name": "plain", "data": ["x"]},
            {"name": "b", "parameters": {"other": 1}, "data": ["oak", "stone"]},
        ],
    }
    with pytest.raises(TooManySentencesError):
        as_plain_json(text + first + second, len(text), 1)
