"""Versions to swap in a soak: four models with other labels, lengths and tokenizers, one of them of 250,000 pieces."""

import functools
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from repository.manifest import (
    INPUTS,
    MODEL_FILE,
    OUTPUT,
    TOKENIZER_FILE,
    Manifest,
    Parity,
    Precision,
    ProblemType,
    digest_file,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
CHANNELS = 32
# Of a model that was never compared with another.
PARITY = Parity(
    sentences=1,
    max_logit_difference=0.0,
    max_probability_difference=0.0,
    label_agreement=1.0,
    decided_label_agreement=1.0,
    padded_label_flips=0,
    max_padded_probability_difference=0.0,
)
OPSET, IR_VERSION = 17, 8


@dataclass(frozen=True)
class Kind:
    """One of the models that take turns."""

    name: str
    labels: tuple[str, ...]
    pieces: int
    max_length: int


# The largest is the second that is swapped in: what the gateway takes after it is what it may take ever after.
KINDS = (
    Kind("words", ("Animal", "Plant"), 2_000, 64),
    Kind("WordPiece", ("Business", "Education", "Health", "Law", "Sport", "Technology", "Travel"), 30_000, 128),
    Kind("Unigram", ("negative", "neutral", "positive"), 250_000, 512),
    Kind("more words", ("one", "two", "three", "four", "five"), 8_000, 256),
)


def some_words(count: int, seed: int) -> list[str]:
    """Made-up words of 3 to 9 letters, all different, always the same."""
    chance = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(chance.choices(LETTERS, k=chance.randint(3, 9)))] = None
    return list(found)


def some_texts(count: int, longest: int, seed: int = 0) -> list[str]:
    """Texts of 1 to `longest` words, as many short as long ones on a logarithmic scale, all different."""
    chance = random.Random(seed)
    words = some_words(1_500, seed=1)
    texts: dict[str, None] = {}
    while len(texts) < count:
        texts[" ".join(chance.choices(words, k=round(longest ** chance.random())))] = None
    return list(texts)


def write_version(folder: Path, kind: Kind, seed: int) -> Path:
    """A version with random weights: embeddings, summed, divided by the root of the length, times a matrix."""
    folder.mkdir(parents=True)
    tokenizer = _tokenizer(kind)
    tokenizer.save(str(folder / TOKENIZER_FILE))
    onnx.save(_graph(tokenizer.get_vocab_size(), len(kind.labels), seed), folder / MODEL_FILE)
    Manifest(
        source=f"random weights, {kind.name}",
        labels=list(kind.labels),
        problem_type=ProblemType.SINGLE_LABEL,
        max_length=kind.max_length,
        pad_token_id=1,
        precision=Precision.FP32,
        precision_reason="asked for",
        opset=OPSET,
        ir_version=IR_VERSION,
        parity=PARITY,
        library_versions={},
        files={name: digest_file(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)},
    ).write(folder)
    return folder


@functools.cache
def _tokenizer(kind: Kind) -> Tokenizer:
    return _TOKENIZERS[kind.name](kind.pieces)


def _words(pieces: int) -> Tokenizer:
    vocabulary = [*SPECIAL, *some_words(pieces - len(SPECIAL), seed=1)]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return _framed(tokenizer)


def _word_piece(pieces: int) -> Tokenizer:
    vocabulary = [*SPECIAL, *LETTERS, *(f"##{letter}" for letter in LETTERS)]
    words = some_words(pieces - len(vocabulary), seed=2)
    vocabulary += [f"##{word}" if place % 2 else word for place, word in enumerate(words)]
    vocabulary_ids = {word: place for place, word in enumerate(vocabulary)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary_ids, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return _framed(tokenizer)


def _unigram(pieces: int) -> Tokenizer:
    chance = random.Random(3)
    vocabulary = [*((word, 0.0) for word in SPECIAL), ("▁", -3.0), *((letter, -8.0) for letter in LETTERS)]
    words = some_words(pieces - len(vocabulary), seed=3)
    vocabulary += [(f"▁{word}" if place % 2 else word, -9 - 6 * chance.random()) for place, word in enumerate(words)]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=SPECIAL.index("<unk>")))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    return _framed(tokenizer)


def _framed(tokenizer: Tokenizer) -> Tokenizer:
    special = [(word, SPECIAL.index(word)) for word in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=special)
    return tokenizer


_TOKENIZERS = {"words": _words, "WordPiece": _word_piece, "Unigram": _unigram, "more words": _words}


def _graph(pieces: int, labels: int, seed: int) -> onnx.ModelProto:
    chance = np.random.default_rng(seed)
    nodes = [
        helper.make_node("Gather", ["embeddings", INPUTS[0]], ["rows"]),
        helper.make_node("Cast", [INPUTS[1]], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["rows", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "sequence"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "sequence"], ["length"], keepdims=1),
        helper.make_node("Sqrt", ["length"], ["root"]),
        helper.make_node("Div", ["sum", "root"], ["pooled"]),
        helper.make_node("MatMul", ["pooled", "head"], [OUTPUT]),
    ]
    constants = {
        "embeddings": chance.standard_normal((pieces, CHANNELS), dtype=np.float32),
        "head": chance.standard_normal((CHANNELS, labels), dtype=np.float32) / 4,
        "last": np.array([2]),
        "sequence": np.array([1]),
    }
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in INPUTS]
    output = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", labels])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "soak", inputs, [output], initializers)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
