"""Small real version folders: a word-level tokenizer and an ONNX graph that counts words, without torch."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from repository.manifest import (
    MODEL_FILE,
    TOKENIZER_FILE,
    Manifest,
    Parity,
    Precision,
    ProblemType,
    digest_file,
)

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]


def write_version(folder: Path, words: dict[str, str], max_length: int = 16, weight: float = 4.0) -> Path:
    """A version whose label is the one that most words of a sentence vote for: `words` maps word to label."""
    folder.mkdir(parents=True)
    labels = sorted(set(words.values()))
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *words])}
    votes = np.zeros((len(vocabulary), len(labels)), dtype=np.float32)
    for word, label in words.items():
        votes[vocabulary[word], labels.index(label)] = weight
    write_graph(folder / MODEL_FILE, votes)
    write_tokenizer(folder / TOKENIZER_FILE, vocabulary)
    write_manifest(folder, labels, max_length)
    return folder


def write_graph(path: Path, votes: np.ndarray) -> None:
    """logits `[batch, labels]` = sum of the rows of `votes` `[vocabulary, labels]` that the mask keeps."""
    nodes = [
        helper.make_node("Gather", ["votes", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["rows", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "sequence"], ["logits"], keepdims=0),
    ]
    constants = {"votes": votes, "last": np.array([2]), "sequence": np.array([1])}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", votes.shape[1]])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "votes", inputs, [output], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write_tokenizer(path: Path, vocabulary: dict[str, int]) -> None:
    """A tokenizer that splits at white space and frames a sentence as BERT's does."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    tokenizer.save(str(path))


def write_manifest(folder: Path, labels: list[str], max_length: int = 16) -> Manifest:
    """A manifest that fits the files that are in the folder now."""
    parity = Parity(
        sentences=1,
        max_logit_difference=0.0,
        max_probability_difference=0.0,
        label_agreement=1.0,
        decided_label_agreement=1.0,
        padded_label_flips=0,
        max_padded_probability_difference=0.0,
    )
    manifest = Manifest(
        source="test",
        labels=labels,
        problem_type=ProblemType.SINGLE_LABEL,
        max_length=max_length,
        pad_token_id=0,
        precision=Precision.FP32,
        precision_reason="asked for",
        opset=17,
        ir_version=8,
        parity=parity,
        library_versions={},
        files={name: digest_file(folder / name) for name in (MODEL_FILE, TOKENIZER_FILE)},
    )
    manifest.write(folder)
    return manifest
