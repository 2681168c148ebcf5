"""Texts in tensors: what a client packs is read, whatever is in it, and what does not fit is refused by its name."""

import json
from typing import Any

import numpy as np
import pytest
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from gateway.errors import InvalidRequestError
from gateway.rpc.messages import message
from gateway.rpc.tensors import outputs_wanted, put_outputs, texts_in, unpacked

Request = message("inference.ModelInferRequest")
Response = message("inference.ModelInferResponse")
TEXTS = ["cat", "", "ñandú 日本 🐈", "a\0b", "x" * 70_000]


def request(**fields: Any) -> Any:
    tensor = {"name": "text", "datatype": "BYTES", "shape": [2], "contents": {"bytes_contents": [b"a", b"b"]}}
    return Request(inputs=[{**tensor, **fields}])


def packed(texts: list[str]) -> bytes:
    found: bytes = serialize_byte_tensor(np.array([text.encode() for text in texts], dtype=object)).item()
    return found


@pytest.mark.parametrize("shape", [[5], [5, 1]])
def test_texts_are_read_listed_and_packed(shape: list[int]) -> None:
    listed = request(shape=shape, contents={"bytes_contents": [text.encode() for text in TEXTS]})
    raw = request(shape=shape, contents=None)
    raw.raw_input_contents.append(packed(TEXTS))
    for each in (listed, raw):
        assert [text.first for text in texts_in(each)] == TEXTS


REFUSED: list[tuple[Any, str]] = [
    (Request(), "The model has one input, `text`; the request has none."),
    (request(name="input_ids"), "The model has one input, `text`; the request has input_ids."),
    (Request(inputs=[{"name": "text"}, {"name": "more"}]), "the request has text, more."),
    (request(datatype="FP32"), "`text` is of the type BYTES, not FP32."),
    (request(datatype=""), "not without a type"),
    (request(shape=[]), "[n] or [n, 1], not []."),
    (request(shape=[0]), "not [0]."),
    (request(shape=[-1]), "not [-1]."),
    (request(shape=[1, 2]), "not [1, 2]."),
    (request(shape=[2, 1, 1]), "not [2, 1, 1]."),
    (request(shape=[2**62]), "`text` has 2 elements; its shape says 4611686018427387904."),
    (request(contents={"int_contents": [1, 2]}), "stands in bytes_contents or in raw_input_contents"),
    (request(contents={"bytes_contents": [b"a", b"\xff"]}), "Element 2 of `text` is not UTF-8."),
]


@pytest.mark.parametrize(("asked", "words"), REFUSED, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_refused(asked: Any, words: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        texts_in(asked)
    assert words in str(refused.value)


def test_texts_are_given_in_one_way() -> None:
    both = request()
    both.raw_input_contents.append(packed(["a", "b"]))
    with pytest.raises(InvalidRequestError, match="raw_input_contents once"):
        texts_in(both)


@pytest.mark.parametrize("cut", [1, 3, 5, 6])
def test_a_packed_tensor_that_is_cut_off_is_refused(cut: int) -> None:
    whole = packed(["a", "bcd"])
    assert unpacked(whole) == [b"a", b"bcd"]
    with pytest.raises(InvalidRequestError, match="raw_input_contents ends within"):
        unpacked(whole[:-cut])


def test_a_length_that_is_a_lie_costs_nothing() -> None:
    with pytest.raises(InvalidRequestError, match="ends within element 1"):
        unpacked(b"\xff\xff\xff\xffab")


@pytest.mark.parametrize("raw", [True, False])
def test_outputs_come_as_they_are_wanted(raw: bool) -> None:
    scores = np.array([[0.25, 0.75], [0.5, 0.5]], dtype=np.float32)
    response = Response()
    put_outputs(response, ["scores", "label"], ["ñ", "b"], scores, raw, json.dumps(["a", "ñ"]))
    assert [(each.name, each.datatype, list(each.shape)) for each in response.outputs] == [
        ("scores", "FP32", [2, 2]),
        ("label", "BYTES", [2]),
    ]
    assert json.loads(response.outputs[0].parameters["labels"].string_param) == ["a", "ñ"]
    if raw:
        found = np.frombuffer(response.raw_output_contents[0], dtype=np.float32).reshape(2, 2)
        labels = list(deserialize_bytes_tensor(response.raw_output_contents[1]))
    else:
        found = np.array(response.outputs[0].contents.fp32_contents, dtype=np.float32).reshape(2, 2)
        labels = list(response.outputs[1].contents.bytes_contents)
    assert (found == scores).all()
    assert labels == ["ñ".encode(), b"b"]


def test_an_output_that_there_is_not_is_refused() -> None:
    assert outputs_wanted(Request()) == ("label", "scores")
    assert outputs_wanted(Request(outputs=[{"name": "scores"}])) == ["scores"]
    for names in (["logits"], ["label", "label"]):
        with pytest.raises(InvalidRequestError):
            outputs_wanted(Request(outputs=[{"name": name} for name in names]))
