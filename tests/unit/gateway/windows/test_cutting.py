"""The windows of a text are those that transformers gives, whatever the tokenizer, its end and the length."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from gateway.encoding import Text, Tokens, encode_all
from gateway.errors import InvalidRequestError, TooManySentencesError
from gateway.tokenization import Tokenizers
from gateway.windows.cutting import Windows, cut
from pretrained.tokenizer import load_fast_tokenizer
from tests.long_texts import SENTENCE, text_of
from tests.tiny_models import word_tokenizer
from tests.tiny_tokenizers import write_byte_level_bpe, write_sentencepiece, write_word_pieces

LIMIT = 20
OVERLAP = 6
CORPUS = ["learn a new language", "cook bread with music", "plan the garden", "Stühle bauen, heute!", "日本語 😀"] * 4
WANTED = Windows(OVERLAP, "mean", 100)


def words(folder: Path) -> None:
    word_tokenizer(model_input_names=["input_ids", "attention_mask", "token_type_ids"]).save_pretrained(folder)


def unigram(folder: Path) -> None:
    write_sentencepiece(folder, "xlm-roberta", CORPUS)
    (folder / "config.json").write_text('{"model_type": "xlm-roberta"}')


def word_pieces(folder: Path) -> None:
    write_word_pieces(folder, CORPUS)
    (folder / "config.json").write_text('{"model_type": "bert"}')


KINDS: dict[str, Callable[[Path], None]] = {
    "WordPiece": word_pieces,
    "byte-level BPE": lambda folder: write_byte_level_bpe(folder, CORPUS),
    "BPE without special tokens": lambda folder: write_byte_level_bpe(folder, CORPUS, framed=False),
    "Unigram": unigram,
    "words": words,
}


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedTokenizerFast:
    folder = tmp_path_factory.mktemp("tokenizer")
    KINDS[request.param](folder)
    return load_fast_tokenizer(folder)


def version_of(tokenizer: PreTrainedTokenizerFast, side: str, limit: int = LIMIT) -> Any:
    """As much of a version as is asked for windows."""
    own = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    own.no_padding()
    own.enable_truncation(limit, direction=side)
    return SimpleNamespace(tokenizers=Tokenizers(own), manifest=SimpleNamespace(max_length=limit, token_types=True))


def reference(tokenizer: PreTrainedTokenizerFast, side: str, truncation: Any, *texts: str) -> list[list[int]]:
    """The ids of each window, in the order of the text, as transformers gives them."""
    tokenizer.truncation_side = side
    found = tokenizer(
        *texts, truncation=truncation, max_length=LIMIT, stride=OVERLAP, return_overflowing_tokens=True
    )  # fmt: skip
    return found["input_ids"][:: -1 if side == "left" else 1]


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("more", [1, OVERLAP, OVERLAP + 1, LIMIT, 5 * LIMIT + 3])
def test_windows_are_those_of_transformers(tokenizer: PreTrainedTokenizerFast, side: str, more: int) -> None:
    room = LIMIT - tokenizer.num_special_tokens_to_add(False)
    text = text_of(tokenizer, room + more)
    expected = reference(tokenizer, side, True, text)
    found = cut(version_of(tokenizer, side), Text(text), WANTED, "The sentence")
    assert len(expected) == 1 + -(-more // (room - OVERLAP)) > 1
    assert [tokens.ids for tokens in found] == expected
    assert all(tokens.is_window and tokens.cut == 0 for tokens in found)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("longer", ["first", "second"])
def test_of_a_pair_the_longer_text_is_cut_as_transformers_does(
    tokenizer: PreTrainedTokenizerFast, side: str, longer: str
) -> None:
    texts = [text_of(tokenizer, 7), text_of(tokenizer, 60)][:: -1 if longer == "first" else 1]
    room = LIMIT - tokenizer.num_special_tokens_to_add(True) - 7
    wanted = Windows(room // 2, "mean", 100)
    tokenizer.truncation_side = side
    expected = tokenizer(
        *texts, truncation=f"only_{longer}", max_length=LIMIT, stride=room // 2, return_overflowing_tokens=True
    )
    found = cut(version_of(tokenizer, side), Text(*texts), wanted, "The sentence")
    order = slice(None, None, -1) if side == "left" else slice(None)
    assert [tokens.ids for tokens in found] == expected["input_ids"][order]
    for tokens, kinds in zip(found, expected.get("token_type_ids", [])[order], strict=False):
        assert tokens.mask == ([1 + kind for kind in kinds] if any(kinds) else None)


def test_a_text_that_fits_is_encoded_as_it_always_was(tokenizer: PreTrainedTokenizerFast) -> None:
    version = version_of(tokenizer, "right")
    text = text_of(tokenizer, LIMIT - tokenizer.num_special_tokens_to_add(False))
    (tokens,) = encode_all(version, [Text(text)], truncate=True, side=None)
    assert (len(tokens.ids), tokens.cut, tokens.is_window) == (LIMIT, 0, False)
    (longer,) = encode_all(version, [Text(text + SENTENCE)], truncate=True, side=None)
    assert longer.cut > 0


def test_an_overlap_is_at_most_half_a_window() -> None:
    version = version_of(word_tokenizer(), "right")
    text = Text(" ".join(f"word{number}" for number in range(90)))
    assert cut(version, text, Windows(1000, "mean", 100), "It") == cut(version, text, Windows(9, "mean", 100), "It")
    assert len(cut(version, text, Windows(0, "mean", 100), "It")) == 5


def test_a_pair_whose_shorter_text_leaves_no_room_is_refused() -> None:
    version = version_of(word_tokenizer(), "right")
    pair = Text("word1 " * 13, "word2 " * 40)
    with pytest.raises(
        InvalidRequestError, match=r"^Sentence 2 is a pair whose shorter text has 13 tokens, .*model's 20"
    ):
        cut(version, pair, WANTED, "Sentence 2")
    assert cut(version, Text("word1 " * 12, "word2 " * 40), WANTED, "Sentence 2")


@pytest.mark.parametrize("side", ["right", "left"])
def test_who_joins_the_first_and_the_last_asks_no_other(side: str) -> None:
    version = version_of(word_tokenizer(), side)
    text = Text(" ".join(f"word{number % 90}" for number in range(200)))
    windows = cut(version, text, WANTED, "It")
    assert cut(version, text, Windows(OVERLAP, "first-last", 2), "It") == [windows[0], windows[-1]]


def test_more_windows_than_may_be_are_refused_with_their_number() -> None:
    version = version_of(word_tokenizer(), "right")
    text = Text("word1 " * 200)
    windows: list[Tokens] = cut(version, text, Windows(OVERLAP, "mean", 17), "The sentence")
    assert len(windows) == 17
    with pytest.raises(TooManySentencesError, match=r"^The sentence has 17 windows of 20 tokens; at most 16 are taken"):
        cut(version, text, Windows(OVERLAP, "mean", 16), "The sentence")
