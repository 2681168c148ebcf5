"""Sentences in which the tokenizer finds no token are left out of an export by name; one of nothing else is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from export import ExportError
from export.commands.known_tokens import with_tokens
from export.texts.sentences import ChosenSentences


@pytest.fixture
def checkpoint() -> SimpleNamespace:
    """Its tokenizer knows two letters, and has no token for others, nor any that frames a sentence."""
    letters = Tokenizer(models.BPE(vocab={"a": 0, "b": 1}, merges=[]))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=letters)
    return SimpleNamespace(tokenizer=tokenizer, max_length=8, token_types=False)


def test_a_sentence_without_a_token_is_left_out_with_its_label(
    checkpoint: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ChosenSentences(["ab", "日本語", "b"], ["x", "y", "z"], ["ж", "a"], None, "some")
    found = with_tokens(checkpoint, Path("data.csv"), chosen)  # type: ignore[arg-type]
    assert found == ChosenSentences(["ab", "b"], ["x", "z"], ["a"], None, "some")
    warning = capsys.readouterr().err
    assert "data.csv: 2 sentences have no token" in warning
    assert "日本語" in warning


def test_sentences_that_all_lack_tokens_are_refused(checkpoint: SimpleNamespace) -> None:
    chosen = ChosenSentences(["日本語", "ж"], None, ["a"], None, "some")
    with pytest.raises(ExportError, match=r"data\.csv: 2 sentences have no token"):
        with_tokens(checkpoint, Path("data.csv"), chosen)  # type: ignore[arg-type]
