"""Small real version folders: a word-level tokenizer and an ONNX graph that counts words, without torch."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from benchmarks.measure.soak.versions import PARITY
from repository.golden import GOLDEN_FILE, Golden, GoldenSentence
from repository.inference import load_tokenizer, scores
from repository.manifest import (
    MANIFEST_FILE,
    MODEL_FILE,
    REPORT_PAGE,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    Manifest,
    Precision,
    ProblemType,
    digest_file,
)
from repository.store import numbers_in

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]

LAYER_WIDTH = 512


def write_version(
    folder: Path,
    words: dict[str, str],
    max_length: int = 16,
    weight: float = 4.0,
    *,
    weights: Mapping[str, float] | None = None,
    unknown_to_graph: Sequence[str] = (),
    layers: int = 0,
    problem_type: ProblemType = ProblemType.SINGLE_LABEL,
    golden: Sequence[str] = (),
    report: str = "",
) -> Path:
    """A version whose label is the one that most words of a sentence vote for: `words` maps word to label.

    `weights` are those of single words, `unknown_to_graph` words that only the tokenizer knows, and each of `layers`
    makes a token cost more to compute without changing the answer. The sentences in `golden` become golden
    ones, and `report` its page.
    """
    folder.mkdir(parents=True)
    labels = sorted(set(words.values()))
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *words])}
    votes = np.zeros((len(vocabulary), len(labels)), dtype=np.float32)
    for word, label in words.items():
        votes[vocabulary[word], labels.index(label)] = (weights or {}).get(word, weight)
    write_graph(folder / MODEL_FILE, votes, layers)
    vocabulary.update({word: len(vocabulary) + index for index, word in enumerate(unknown_to_graph)})
    write_tokenizer(folder / TOKENIZER_FILE, vocabulary)
    if report:
        (folder / REPORT_PAGE).write_text(report, encoding="utf-8")
    write_manifest(folder, labels, max_length, problem_type)
    if golden:
        write_golden(folder, golden)
    return folder


def write_golden(folder: Path, sentences: Sequence[str], max_logit_difference: float = 0.1) -> None:
    """Make what the graph in the folder answers now the golden answers, and a manifest that lists them."""
    manifest = Manifest.read(folder)
    tokenizer = load_tokenizer(folder, manifest.max_length)
    session = onnxruntime.InferenceSession(str(folder / MODEL_FILE), providers=["CPUExecutionProvider"])
    answered = []
    for sentence in sentences:
        ids = tokenizer.encode(sentence).ids
        logits = session.run(None, {"input_ids": [ids], "attention_mask": [[1] * len(ids)]})[0]
        probabilities = scores(logits, manifest.problem_type)[0].tolist()
        answered.append(GoldenSentence(text=sentence, ids=ids, logits=logits[0].tolist(), scores=probabilities))
    Golden(max_logit_difference=max_logit_difference, sentences=answered).write(folder)
    write_manifest(folder, manifest.labels, manifest.max_length, manifest.problem_type)


def note_weights(folder: Path, text: str) -> None:
    """Let the version say which weights it was exported from: `text` is that of `weights.sha256`."""
    (folder / WEIGHTS_FILE).write_text(text)
    manifest = Manifest.read(folder)
    files = {**manifest.files, WEIGHTS_FILE: digest_file(folder / WEIGHTS_FILE)}
    manifest.model_copy(update={"files": files}).write(folder)


def write_random_version(
    folder: Path, words: Sequence[str], labels: Sequence[str], max_length: int = 16, seed: int = 0
) -> Path:
    """A version in which every token, padding too, votes at random: whoever mixes two up gets other scores."""
    folder.mkdir(parents=True)
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *words])}
    # Sixty-fourths: sums of them are exact, in whatever order they are added up.
    votes = np.random.default_rng(seed).integers(-64, 65, (len(vocabulary), len(labels))) / 64
    write_graph(folder / MODEL_FILE, votes.astype(np.float32))
    write_tokenizer(folder / TOKENIZER_FILE, vocabulary)
    write_manifest(folder, list(labels), max_length)
    return folder


def write_graph(path: Path, votes: np.ndarray, layers: int = 0) -> None:
    """logits `[batch, labels]` = sum of the rows of `votes` `[vocabulary, labels]` that the mask keeps."""
    nodes = [
        helper.make_node("Gather", ["votes", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["mask3"]),
        helper.make_node("Mul", ["rows", "mask3"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "sequence"], ["logits" if layers == 0 else "sums"], keepdims=0),
    ]
    constants = {"votes": votes, "last": np.array([2]), "sequence": np.array([1])}
    if layers:
        nodes += costly_nodes(layers)
        zeros = np.zeros((LAYER_WIDTH, LAYER_WIDTH), dtype=np.float32)
        constants |= {"embeddings": zeros[: len(votes)], "layer": zeros, "all_but_batch": np.array([1, 2])}
        constants |= {"column": np.array([1])}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", votes.shape[1]])
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "votes", inputs, [output], initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def costly_nodes(layers: int) -> list[onnx.NodeProto]:
    """`layers` products, as an encoder computes them, of nothing but zeros; their sum is added to `sums`."""
    nodes = [helper.make_node("Gather", ["embeddings", "input_ids"], ["hidden0"])]
    for number in range(layers):
        nodes.append(helper.make_node("MatMul", [f"hidden{number}", "layer"], [f"hidden{number + 1}"]))
    return [
        *nodes,
        helper.make_node("ReduceSum", [f"hidden{layers}", "all_but_batch"], ["nothing"], keepdims=0),
        helper.make_node("Unsqueeze", ["nothing", "column"], ["nothing2"]),
        helper.make_node("Add", ["sums", "nothing2"], ["logits"]),
    ]


def write_tokenizer(path: Path, vocabulary: dict[str, int]) -> None:
    """A tokenizer that splits at white space and frames a sentence as BERT's does."""
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = [(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=special)
    tokenizer.save(str(path))


def write_manifest(
    folder: Path, labels: list[str], max_length: int = 16, problem_type: ProblemType = ProblemType.SINGLE_LABEL
) -> Manifest:
    """A manifest that fits the files that are in the folder now."""
    manifest = Manifest(
        source="test",
        labels=labels,
        problem_type=problem_type,
        max_length=max_length,
        pad_token_id=0,
        precision=Precision.FP32,
        precision_reason="asked for",
        opset=17,
        ir_version=8,
        parity=PARITY,
        library_versions={},
        files={
            name: digest_file(folder / name)
            for name in (MODEL_FILE, TOKENIZER_FILE, GOLDEN_FILE, REPORT_PAGE)
            if name not in (GOLDEN_FILE, REPORT_PAGE) or (folder / name).exists()
        },
    )
    manifest.write(folder)
    return manifest


def versions_in(folder: Path) -> list[int]:
    """The versions of the model in a repository's folder, each of which has all the files of its manifest."""
    found = numbers_in(folder / "classifier")
    for number in found:
        version = folder / "classifier" / str(number)
        Manifest.read(version).verify_files(version)
        assert json.loads((version / MANIFEST_FILE).read_text())["schema_version"] == 1
    return found
