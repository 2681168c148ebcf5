"""A model that tells two texts apart does so in its graph, and its version says and proves it."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from transformers import BertConfig, DistilBertConfig, PretrainedConfig, RobertaConfig, pipeline

from export.checkpoint.load import load_checkpoint
from export.parity.measure import reference_answers
from export.texts.golden_choice import PAIRS, SENTENCES
from export.version.build import build_version
from repository.golden import Golden
from repository.inference import load_tokenizer, mask_of, pad_batch
from repository.manifest import MANIFEST_FILE, MODEL_FILE, Manifest, Precision, RepositoryError, digest_file
from repository.probe import probe_graph
from tests.steps import no_step
from tests.tiny_models import PAD, SIZES, VOCABULARY, WORDS, word_tokenizer, write_any_classifier

TEXTS = [" ".join(WORDS[(7 * start + step) % len(WORDS)] for step in range(2 + start % 8)) for start in range(40)]
PAIR = ("word1 word2 word3 word4", "word5 word6")
LIMIT = 40
COMMON = {"vocab_size": VOCABULARY, "num_labels": 3, "pad_token_id": PAD}


def write_pair_checkpoint(folder: Path, **tokenizer: object) -> Path:
    """A checkpoint on which it shows whether a token is one of the second text."""
    config = BertConfig(**SIZES, **COMMON, max_position_embeddings=LIMIT)
    return write_any_classifier(folder, config, word_tokenizer(model_max_length=LIMIT, **tokenizer))


def export(
    checkpoint_folder: Path, output: Path, precision: Precision = Precision.FP32, texts: list[str] = TEXTS
) -> Path:
    checkpoint = load_checkpoint(str(checkpoint_folder))
    reference = reference_answers(checkpoint, texts, None, lambda _: None)
    build_version(checkpoint, precision, reference, TEXTS, output, no_step)
    return output


@pytest.fixture(scope="module")
def checkpoint_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair_checkpoint(tmp_path_factory.mktemp("pairs") / "checkpoint")


@pytest.fixture(scope="module")
def version(checkpoint_folder: Path) -> Path:
    return export(checkpoint_folder, checkpoint_folder.parent / "version")


def graph_logits(version: Path, *texts: str, token_types: bool) -> np.ndarray:
    manifest = Manifest.read(version)
    encoding = load_tokenizer(version, manifest.max_length).encode(*texts)
    inputs = pad_batch([encoding.ids], manifest.pad_token_id, masks=[mask_of(encoding, token_types)])
    session = onnxruntime.InferenceSession(version / MODEL_FILE, providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0][0]


def pipeline_logits(folder: Path, first: str, second: str) -> np.ndarray:
    asked = pipeline("text-classification", model=str(folder), top_k=None, function_to_apply="none")
    found = {label["label"]: label["score"] for label in asked({"text": first, "text_pair": second})}
    return np.array([found[name] for name in load_checkpoint(str(folder)).labels])


@pytest.mark.parametrize("precision", list(Precision))
def test_a_pair_scores_as_in_the_pipeline_in_every_precision(
    checkpoint_folder: Path, tmp_path: Path, precision: Precision
) -> None:
    version = export(checkpoint_folder, tmp_path / "version", precision)
    assert Manifest.read(version).token_types
    bound = {Precision.FP32: 1e-4, Precision.FP16: 0.02, Precision.INT8: 0.2}[precision]
    expected = pipeline_logits(checkpoint_folder, *PAIR)
    found = graph_logits(version, *PAIR, token_types=True)
    assert np.abs(found - expected).max() < bound
    untold = graph_logits(version, *PAIR, token_types=False)
    assert np.abs(untold - expected).max() > 2 * bound, "else the comparison says nothing"


@pytest.mark.parametrize(
    "config",
    [
        RobertaConfig(**SIZES, **COMMON, max_position_embeddings=LIMIT + PAD + 1, type_vocab_size=1),
        BertConfig(**SIZES, **COMMON, max_position_embeddings=LIMIT),  # its tokenizer gives no types: all are zero
        DistilBertConfig(dim=32, n_layers=2, n_heads=4, hidden_dim=64, max_position_embeddings=LIMIT, **COMMON),
    ],
    ids=lambda config: config.model_type,
)
def test_a_model_that_does_not_tell_texts_apart_gets_a_mask_of_ones(config: PretrainedConfig, tmp_path: Path) -> None:
    tokenizer = word_tokenizer(model_max_length=LIMIT, model_input_names=["input_ids", "attention_mask"])
    folder = write_any_classifier(tmp_path / "checkpoint", config, tokenizer)
    version = export(folder, tmp_path / "version")
    manifest = Manifest.read(version)
    assert not manifest.token_types
    assert manifest.parity.pairs == 0
    found = graph_logits(version, *PAIR, token_types=manifest.token_types)
    assert np.abs(found - pipeline_logits(folder, *PAIR)).max() < 1e-4


def test_pairs_are_compared_with_pytorch_and_are_among_the_golden_sentences(version: Path) -> None:
    assert Manifest.read(version).parity.pairs == 16
    golden = Golden.read(version)
    assert golden is not None
    pairs = [sentence for sentence in golden.sentences if sentence.second is not None]
    assert (len(golden.sentences), len(pairs)) == (SENTENCES + PAIRS, PAIRS)
    assert all(sentence.mask is not None and set(sentence.mask) == {1, 2} for sentence in pairs)
    assert all(sentence.mask is None for sentence in golden.sentences if sentence.second is None)


def test_a_graph_that_takes_the_second_text_for_the_first_is_refused(version: Path, tmp_path: Path) -> None:
    folder = tmp_path / "version"
    shutil.copytree(version, folder)
    probe_graph(folder, Manifest.read(folder))
    model = onnx.load(folder / MODEL_FILE)
    greater = next(node for node in model.graph.node if node.op_type == "Greater")
    model.graph.initializer.append(numpy_helper.from_array(np.array(2), "never"))
    greater.input[1] = "never"
    onnx.save(model, folder / MODEL_FILE)
    with pytest.raises(RepositoryError, match=rf"{PAIRS} of {SENTENCES + PAIRS} golden sentences"):
        probe_graph(folder, Manifest.read(folder))


def test_a_tokenizer_that_no_longer_marks_the_second_text_is_refused(version: Path, tmp_path: Path) -> None:
    folder = tmp_path / "version"
    shutil.copytree(version, folder)
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    for part in tokenizer["post_processor"]["pair"]:
        next(iter(part.values()))["type_id"] = 0
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with pytest.raises(RepositoryError, match=rf"{PAIRS} of {SENTENCES + PAIRS} golden sentences"):
        probe_graph(folder, Manifest.read(folder))


def test_a_manifest_from_before_pairs_means_a_mask_of_ones(version: Path, tmp_path: Path) -> None:
    content = json.loads((version / MANIFEST_FILE).read_text())
    del content["token_types"], content["parity"]["pairs"]
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(content))
    manifest = Manifest.read(tmp_path)
    assert not manifest.token_types
    assert manifest.files[MODEL_FILE] == digest_file(version / MODEL_FILE)
