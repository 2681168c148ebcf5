"""Tokenizers as people have them: of any transformers, slow, with a padding token or without, of another model."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from export import ExportError
from export.checkpoint.load import load_checkpoint
from tests.tiny_models import EOS, PAD, VOCABULARY
from tests.word_checkpoints import LIMIT, TEXT, logits, tiny_bert, write


def save_as_transformers_5(folder: Path, tokenizer_class: str) -> None:
    """The two files that transformers 5 writes: lists where 4.57 has mappings, padding and truncation left in."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    for path in (*folder.glob("*token*"), *folder.glob("vocab*")):
        path.unlink()
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=16)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "backend": "tokenizers",
        "eos_token": "</s>",
        "extra_special_tokens": ["<mask>"],
        "max_length": 4,
        "model_max_length": 24,
        "pad_token": "<pad>",
        "padding_side": "left",
        "tokenizer_class": tokenizer_class,
        "truncation_side": "right",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("tokenizer_class", ["TokenizersBackend", "BertTokenizer"])
def test_a_tokenizer_saved_by_transformers_5_reads_as_the_one_saved_by_4(tmp_path: Path, tokenizer_class: str) -> None:
    old = load_checkpoint(str(write(tmp_path / "old")))
    save_as_transformers_5(write(tmp_path / "new"), tokenizer_class)
    new = load_checkpoint(str(tmp_path / "new"))
    for text in (TEXT, "Word1 WORD2", "", "word1 <mask> word2", "unknown"):
        assert new.tokenizer(text)["input_ids"] == old.tokenizer(text)["input_ids"]
    assert new.max_length == 24
    assert new.pad_token_id == PAD


@pytest.mark.parametrize(("limit", "usable"), [(None, LIMIT), (16, 16), (512, LIMIT)])
def test_the_usable_length_is_the_smaller_of_models_and_tokenizers(
    tmp_path: Path, limit: int | None, usable: int
) -> None:
    settings = {} if limit is None else {"model_max_length": limit}
    assert load_checkpoint(str(write(tmp_path / "c", **settings))).max_length == usable


@pytest.mark.parametrize("padding_id", [0, 1])
def test_robertas_first_positions_up_to_its_padding_id_are_not_usable(tmp_path: Path, padding_id: int) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    config = RobertaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=LIMIT, pad_token_id=padding_id, num_labels=2, **sizes
    )
    checkpoint = load_checkpoint(str(write(tmp_path / "c", config)))
    assert checkpoint.max_length == LIMIT - padding_id - 1
    ids = torch.full((1, checkpoint.max_length), 9)
    checkpoint.model(input_ids=ids, attention_mask=torch.ones_like(ids))
    with pytest.raises(IndexError):
        checkpoint.model(input_ids=torch.full((1, checkpoint.max_length + 1), 9))


@pytest.mark.parametrize(
    ("tokenizer", "config", "expected"),
    [
        ({}, {}, PAD),
        ({"pad_token": None}, {}, PAD),
        ({"pad_token": None}, {"pad_token_id": None}, 3),  # <unk>: every sentence ends with </s>
        ({"pad_token": "</s>"}, {"pad_token_id": None}, EOS),
        ({}, {"pad_token_id": VOCABULARY + 7}, PAD),
    ],
)
def test_a_padding_token_is_found(
    tmp_path: Path, tokenizer: dict[str, Any], config: dict[str, Any], expected: int
) -> None:
    folder = write(tmp_path / "c", **tokenizer)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    assert load_checkpoint(str(folder)).pad_token_id == expected


def test_the_side_a_tokenizer_pads_on_does_not_matter(tmp_path: Path) -> None:
    sides = [load_checkpoint(str(write(tmp_path / side, padding_side=side))) for side in ("left", "right")]
    assert sides[0].tokenizer(TEXT)["input_ids"] == sides[1].tokenizer(TEXT)["input_ids"]
    assert np.array_equal(logits(sides[0].model), logits(sides[1].model))


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", tiny_bert(vocab_size=VOCABULARY - 5))
    with pytest.raises(ExportError, match="past the 94 rows of the model's embedding"):
        load_checkpoint(str(folder))


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(ExportError, match=r"holds no tokenizer \(tokenizer.json\)"):
        load_checkpoint(str(folder))


def test_a_slow_tokenizer_is_converted(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    for path in folder.glob("*token*"):
        path.unlink()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world"]
    (folder / "vocab.txt").write_text("\n".join(words))
    assert load_checkpoint(str(folder)).tokenizer("hello world")["input_ids"] == [2, 5, 6, 3]
