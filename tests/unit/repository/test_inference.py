"""Tokens, padding and scores are what transformers' pipeline makes of the same text and logits."""

from pathlib import Path

import numpy as np
import pytest

from repository.inference import load_tokenizer, pad_batch, scores
from repository.manifest import ProblemType, RepositoryError
from tests.version_folders import write_version


def test_lengths_are_rounded_up_so_that_requests_can_share_a_batch() -> None:
    inputs = pad_batch([[2, 5, 3], [2, 5, 5, 5, 5, 5, 5, 5, 3]], pad_token_id=1)
    assert inputs["input_ids"].shape == (2, 16)
    assert inputs["input_ids"].dtype == inputs["attention_mask"].dtype == np.int64
    assert inputs["input_ids"][0].tolist() == [2, 5, 3] + [1] * 13
    assert inputs["attention_mask"].sum(axis=1).tolist() == [3, 9]


def test_softmax_survives_large_logits() -> None:
    row = scores(np.array([[1000.0, 999.0, -1000.0]], dtype=np.float32), ProblemType.SINGLE_LABEL)[0]
    assert row.tolist() == pytest.approx([0.7310586, 0.2689414, 0.0], abs=1e-6)


def test_multi_label_scores_are_independent() -> None:
    row = scores(np.array([[3.0, 3.0, -3.0]], dtype=np.float32), ProblemType.MULTI_LABEL)[0]
    assert row.tolist() == pytest.approx([0.9526, 0.9526, 0.0474], abs=1e-4)


def test_one_label_is_a_sigmoid_and_a_regression_is_raw() -> None:
    logit = np.array([[0.5]], dtype=np.float32)
    assert scores(logit, ProblemType.MULTI_LABEL)[0, 0] == pytest.approx(0.6225, abs=1e-4)
    assert scores(logit, ProblemType.REGRESSION)[0, 0] == 0.5


def test_a_long_sentence_is_cut_at_the_limit_special_tokens_included(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "version", {"cat": "Animal", "oak": "Plant"})
    ids = load_tokenizer(folder, 16).encode("cat " * 10_000).ids
    assert len(ids) == 16
    assert ids[0] == 2
    assert ids[-1] == 3


def test_a_tokenizer_that_is_none_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(RepositoryError, match="is not a tokenizer"):
        load_tokenizer(tmp_path, 16)
