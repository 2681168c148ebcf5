"""Sentences in which the tokenizer finds no token are left out of an export by name; one of nothing else is refused."""

from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from export import ExportError
from export.__main__ import _with_tokens


@pytest.fixture
def checkpoint() -> SimpleNamespace:
    """Its tokenizer knows two letters, and has no token for others, nor any that frames a sentence."""
    letters = Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters)
    return SimpleNamespace(tokenizer=tokenizer, max_length=8, token_types=False)


def test_a_sentence_without_a_token_is_left_out_with_its_label(
    checkpoint: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    found = _with_tokens(checkpoint, ["ab", "日本語", "b"], ["x", "y", "z"], "compare on")  # type: ignore[arg-type]
    assert found == (["ab", "b"], ["x", "z"])
    warning = capsys.readouterr().err
    assert "1 of 3 sentences" in " ".join(warning.split())
    assert "日本語" in warning


def test_sentences_that_all_lack_tokens_are_refused(checkpoint: SimpleNamespace) -> None:
    with pytest.raises(ExportError, match="2 of 2 sentences to compare on have no token"):
        _with_tokens(checkpoint, ["日本語", "ж"], None, "compare on")  # type: ignore[arg-type]
