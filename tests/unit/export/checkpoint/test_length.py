"""Texts are cut at the model's own length, the default bound or the one asked for; batches fit into the memory."""

from pathlib import Path

import numpy as np
import pytest
from transformers import BertConfig, BloomConfig
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.checkpoint.load import load_checkpoint
from export.parity.measure import _in_long_company
from pretrained.batches import BATCH_SIZE, MOST_SCORES, batches_by_length
from pretrained.lengths import DEFAULT_MAX_LENGTH, UNSTATED_MAX_LENGTH
from repository.inference import load_tokenizer
from repository.manifest import Manifest
from tests.tiny_models import PAD, SIZES, VOCABULARY, word_tokenizer, write_any_classifier
from tests.unit.export.checkpoint.test_pairs import TEXTS

COMMON = {"vocab_size": VOCABULARY, "num_labels": 3, "pad_token_id": PAD}


def write_bert(folder: Path, positions: int) -> str:
    config = BertConfig(**SIZES, **COMMON, max_position_embeddings=positions)
    return str(write_any_classifier(folder, config, word_tokenizer()))


def test_a_long_model_is_served_up_to_the_default_bound(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "c", 4096)
    checkpoint = load_checkpoint(source)
    assert (checkpoint.max_length, checkpoint.own_max_length) == (DEFAULT_MAX_LENGTH, 4096)
    assert load_checkpoint(source, max_length=4096).max_length == 4096
    assert load_checkpoint(source, max_length=16).max_length == 16


def test_a_length_past_the_model_s_own_or_too_short_for_a_text_is_refused(tmp_path: Path) -> None:
    source = write_bert(tmp_path / "c", 40)
    assert load_checkpoint(source).max_length == 40
    with pytest.raises(ExportError, match="takes sequences of at most 40 tokens: give a --max-length up to that"):
        load_checkpoint(source, max_length=41)
    with pytest.raises(ExportError, match="--max-length 3 leaves no room for a text: 3 tokens go into the frame"):
        load_checkpoint(source, max_length=3)


def test_a_model_that_names_no_limit_takes_the_one_asked_for(tmp_path: Path) -> None:
    config = BloomConfig(n_layer=1, n_head=4, hidden_size=32, **COMMON)
    source = str(write_any_classifier(tmp_path / "c", config, word_tokenizer()))
    checkpoint = load_checkpoint(source)
    assert (checkpoint.max_length, checkpoint.own_max_length) == (UNSTATED_MAX_LENGTH, None)
    assert load_checkpoint(source, max_length=3000).max_length == 3000


def test_a_lowered_length_is_said_on_the_screen_and_in_the_manifest(tmp_path: Path) -> None:
    source, output, data = write_bert(tmp_path / "c", 40), tmp_path / "version", tmp_path / "data.txt"
    data.write_text("\n".join([*TEXTS, " ".join(TEXTS)]))
    options = ["--output", str(output), "--data", str(data), "--precision", "fp32", "--max-length", "24"]
    result = CliRunner().invoke(app, [source, *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "Texts are cut at 24 tokens; the model takes 40 (--max-length)." in " ".join(result.output.split())
    manifest = Manifest.read(output)
    assert (manifest.max_length, manifest.model_max_length) == (24, 40)
    assert len(load_tokenizer(output, manifest.max_length).encode(" ".join(TEXTS)).ids) == 24


def test_batches_are_of_neighbours_in_length_and_of_bounded_memory() -> None:
    lengths = [*range(1, 200), 512, 512, 2048, 2048, 2048, 2048, 2048, 8192, 8192]
    batches = batches_by_length(lengths[::-1])
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    sizes = [(len(batch), max(lengths[::-1][index] for index in batch)) for batch in batches]
    assert all(count == 1 or count * longest**2 <= MOST_SCORES for count, longest in sizes)
    assert max(count for count, _ in sizes) == BATCH_SIZE
    assert (4, 2048) in sizes
    assert sizes.count((1, 8192)) == 2


def test_texts_in_the_company_of_long_ones_are_of_bounded_memory_and_in_order() -> None:
    ids = [[place] * (2000 if place % 7 == 0 else 9) for place in range(100)]
    sample = list(range(100))[::-1]
    asked = []

    def ask(batch: list[int], length: int) -> np.ndarray:
        asked.append((len(batch), length))
        return np.array([[ids[place][0]] for place in batch], dtype=np.float32)

    rows = _in_long_company(sample, ids, 2048, ask)
    assert rows[:, 0].tolist() == sample
    assert all(count == 1 or count * length**2 <= MOST_SCORES for count, length in asked)
