"""A long text loses the end that the checkpoint's tokenizer cuts, in the version as in the pipeline."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from transformers import RobertaConfig, pipeline

from gateway.tokenization import Tokenizers
from repository.inference import load_tokenizer, pad_batch
from repository.manifest import MODEL_FILE, Manifest
from tests.tiny_models import SIZES, VOCABULARY, WORDS, word_tokenizer, write_any_classifier
from tests.unit.export.checkpoint.test_pairs import LIMIT, TEXTS, export, write_pair_checkpoint

LONG = " ".join(TEXTS)


@pytest.fixture(scope="module", params=["left", "right"])
def side(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def checkpoint_folder(side: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair_checkpoint(tmp_path_factory.mktemp(side) / "checkpoint", truncation_side=side)


@pytest.fixture(scope="module")
def version(checkpoint_folder: Path) -> Path:
    return export(checkpoint_folder, checkpoint_folder.parent / "version", texts=[*TEXTS, LONG])


def test_a_long_text_is_cut_where_the_checkpoint_s_tokenizer_cuts(
    side: str, checkpoint_folder: Path, version: Path
) -> None:
    ids = load_tokenizer(version, LIMIT).encode(LONG).ids
    session = onnxruntime.InferenceSession(version / MODEL_FILE, providers=["CPUExecutionProvider"])
    logits = session.run(None, pad_batch([ids], Manifest.read(version).pad_token_id))[0][0]
    asked = pipeline("text-classification", model=str(checkpoint_folder), top_k=None, function_to_apply="none")
    by_label = {item["label"]: item["score"] for item in asked({"text": LONG}, truncation=True)}
    assert logits == pytest.approx([by_label[name] for name in Manifest.read(version).labels], abs=1e-4)
    words = LONG.split()
    kept = words[-(LIMIT - 2) :] if side == "left" else words[: LIMIT - 2]
    assert load_tokenizer(version, LIMIT).decode(ids) == " ".join(kept)


def test_the_other_end_is_cut_by_a_tokenizer_of_its_own_that_is_made_once(side: str, version: Path) -> None:
    tokenizers = Tokenizers(load_tokenizer(version, LIMIT))
    assert tokenizers.side == side
    assert tokenizers.cutting(None) is tokenizers.own
    words = LONG.split()
    for wanted, kept in (("left", words[-(LIMIT - 2) :]), ("right", words[: LIMIT - 2])):
        tokenizer = tokenizers.cutting(wanted)
        assert tokenizer is tokenizers.cutting(wanted)
        assert tokenizer.decode(tokenizer.encode(LONG).ids) == " ".join(kept)
    assert tokenizers.own.truncation["direction"] == side


def test_the_export_compared_the_long_text_too(version: Path) -> None:
    parity = Manifest.read(version).parity
    assert parity.sentences == len(TEXTS) + 1
    assert parity.max_logit_difference < 1e-3
    assert np.isfinite(parity.max_logit_difference)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As the real ones: 514 positions, padding id 1, so that 512 tokens are read."""
    config = RobertaConfig(
        **SIZES, vocab_size=VOCABULARY, num_labels=3, pad_token_id=1, max_position_embeddings=514, type_vocab_size=1
    )
    tokenizer = word_tokenizer(model_input_names=["input_ids", "attention_mask"])
    folder = tmp_path_factory.mktemp("roberta")
    write_any_classifier(folder / "checkpoint", config, tokenizer)
    export(folder / "checkpoint", folder / "version")
    return folder


@pytest.mark.parametrize("tokens", [510, 511, 512, 513, 10_000])
def test_roberta_reads_512_tokens_of_514_positions_as_in_the_pipeline(roberta: Path, tokens: int) -> None:
    manifest = Manifest.read(roberta / "version")
    assert manifest.max_length == 512
    text = " ".join(WORDS[place % len(WORDS)] for place in range(tokens - 2))
    ids = load_tokenizer(roberta / "version", manifest.max_length).encode(text).ids
    assert len(ids) == min(tokens, 512)
    session = onnxruntime.InferenceSession(roberta / "version" / MODEL_FILE, providers=["CPUExecutionProvider"])
    logits = session.run(None, pad_batch([ids], manifest.pad_token_id))[0][0]
    asked = pipeline("text-classification", model=str(roberta / "checkpoint"), top_k=None, function_to_apply="none")
    by_label = {item["label"]: item["score"] for item in asked({"text": text}, truncation=True, max_length=512)}
    assert logits == pytest.approx([by_label[name] for name in manifest.labels], abs=1e-4)
