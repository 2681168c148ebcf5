"""int8 sets its scales by texts of every length that is served, and by pairs where a model takes pairs."""

from pathlib import Path

import numpy as np
import pytest
from tokenizers.processors import Sequence
from transformers import BertConfig

from export.checkpoint.load import load_checkpoint
from export.precision.int8.calibration import AT_ONCE, CalibrationText, _at_once
from export.precision.int8.texts import PAIR_EVERY, calibration_texts
from tests.tiny_models import PAD, SIZES, VOCABULARY, WORDS, word_tokenizer, write_any_classifier

SENTENCES = [" ".join(WORDS[start : start + 2 + start % 4]) for start in range(40)]


def checkpoint_folder(folder: Path, limit: int, **config: object) -> Path:
    settings = {"vocab_size": VOCABULARY, "num_labels": 3, "pad_token_id": PAD, **SIZES, **config}
    tokenizer = word_tokenizer(model_max_length=limit)
    return write_any_classifier(folder, BertConfig(max_position_embeddings=limit, **settings), tokenizer)


@pytest.mark.parametrize("limit", [8, 300])
def test_there_is_a_text_of_every_length_up_to_the_limit(tmp_path: Path, limit: int) -> None:
    checkpoint = load_checkpoint(str(checkpoint_folder(tmp_path, limit, type_vocab_size=1)))
    texts = calibration_texts(checkpoint, SENTENCES)
    lengths = [len(text.ids) for text in texts[len(SENTENCES) :]]
    assert lengths == ([8] if limit == 8 else [32, 64, 128, 256, 300])
    assert {text.mask for text in texts} == {None}
    # Framed as a sentence is, and made of words that are in the sentences.
    start, *words, end = texts[-1].ids
    assert (start, end) == (texts[0].ids[0], texts[0].ids[-1])
    assert set(words) <= {token for text in texts[: len(SENTENCES)] for token in text.ids}


def test_pairs_are_among_them_where_the_model_tells_two_texts_apart(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(checkpoint_folder(tmp_path, 40)))
    assert checkpoint.token_types
    texts = calibration_texts(checkpoint, SENTENCES)
    pairs = [text for text in texts if text.mask is not None]
    assert len(pairs) == len(SENTENCES) / PAIR_EVERY
    for pair in pairs:
        assert pair.mask is not None
        assert set(pair.mask) == {1, 2}
        fed = pair.feed(PAD)
        assert np.array_equal(fed["attention_mask"][0], pair.mask)
        assert np.array_equal(fed["input_ids"][0], pair.ids)


def test_without_sentences_there_is_nothing_to_calibrate_on(tmp_path: Path) -> None:
    assert calibration_texts(load_checkpoint(str(checkpoint_folder(tmp_path, 40))), []) == []


def test_a_text_without_a_token_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = load_checkpoint(str(checkpoint_folder(tmp_path, 8, type_vocab_size=1)))
    monkeypatch.setattr(checkpoint.tokenizer.backend_tokenizer, "post_processor", Sequence([]))
    texts = calibration_texts(checkpoint, ["word1 word2", " "])
    assert len(texts) == 2  # the first, and the long one
    assert all(text.ids for text in texts)


def test_texts_are_summed_up_a_bounded_number_of_tokens_at_a_time() -> None:
    texts = [CalibrationText([1] * length) for length in (AT_ONCE // 2, AT_ONCE // 2, 7, 2 * AT_ONCE, 3)]
    assert [[len(text.ids) for text in chosen] for chosen in _at_once(texts)] == [
        [AT_ONCE // 2, AT_ONCE // 2],
        [7],
        [2 * AT_ONCE],
        [3],
    ]
