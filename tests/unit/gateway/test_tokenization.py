"""A version's tokenizers cut at other ends, or nothing, share the vocabulary, and are else the same."""

import json
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from gateway.tokenization import Tokenizers, shared

WORDS = ("<s>", "</s>", "<unk>", "plan", "a", "family", "trip", "to", "spain", "with", "kids")
LIMIT = 6
TEXTS = (
    "Plan a family trip to Spain with kids",
    "plan <mask> a trip",
    "plan a tripbudget  <mask>with kids to spain",
    "<s> plan </s>",
)


def tokenizer_with(*added: AddedToken) -> Any:
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    tokenizer.add_tokens(list(added))
    tokenizer.enable_truncation(LIMIT)
    return tokenizer


def read_anew(tokenizer: Any, side: str) -> Any:
    """The same tokenizer, with everything of its own."""
    other = Tokenizer.from_str(tokenizer.to_str())
    other.enable_truncation(LIMIT, direction=side)
    return other


ADDED = (
    AddedToken("<s>", special=True),
    AddedToken("</s>", special=True),
    AddedToken("<mask>", special=True, lstrip=True, normalized=False),
    AddedToken("budget", single_word=False, normalized=True),
)


@pytest.mark.parametrize("text", TEXTS)
def test_the_second_tokenizer_is_the_first_but_for_its_end(text: str) -> None:
    own = tokenizer_with(*ADDED)
    left, expected = Tokenizers(own).cutting("left"), read_anew(own, "left")
    assert left.encode(text).ids == expected.encode(text).ids
    assert left.encode(text, TEXTS[0]).ids == expected.encode(text, TEXTS[0]).ids
    assert left.to_str() == expected.to_str()
    assert own.truncation["direction"] == "right"


@pytest.mark.parametrize("text", TEXTS)
def test_the_whole_one_is_the_first_but_cuts_nothing(text: str) -> None:
    own = tokenizer_with(*ADDED)
    whole = Tokenizers(own).whole()
    expected = Tokenizer.from_str(own.to_str())
    expected.no_truncation()
    assert whole.encode(text * 9).ids == expected.encode(text * 9).ids
    assert whole.to_str() == expected.to_str()
    assert own.truncation["max_length"] == LIMIT


def test_all_have_one_vocabulary() -> None:
    own = tokenizer_with(*ADDED)
    tokenizers = Tokenizers(own)
    left, whole = tokenizers.cutting("left"), tokenizers.whole()
    own.model.unk_token = "spain"  # what one would see of it if they had one each
    assert left.model.unk_token == whole.model.unk_token == "spain"


def test_ids_with_a_gap_between_them_stay_as_they_are() -> None:
    document = json.loads(tokenizer_with(*ADDED).to_str())
    document["added_tokens"][-1]["id"] += 100
    own = Tokenizer.from_str(json.dumps(document))
    left = Tokenizers(own).cutting("left")
    assert left.get_added_tokens_decoder().keys() == own.get_added_tokens_decoder().keys()
    assert left.encode(TEXTS[2]).ids == read_anew(own, "left").encode(TEXTS[2]).ids


def test_versions_with_one_tokenizer_hold_it_once_for_as_long_as_one_of_them_is_there() -> None:
    read: list[str] = []

    def tokenizers(digest: str, limit: int) -> Tokenizers:
        def load() -> Any:
            read.append(digest)
            return tokenizer_with()

        return shared(digest, limit, load)

    first, second = tokenizers("one", LIMIT), tokenizers("one", LIMIT)
    assert first is second
    assert tokenizers("one", LIMIT + 1) is not first
    assert tokenizers("other", LIMIT) is not first
    assert read == ["one", "one", "other"]
    del first
    assert tokenizers("one", LIMIT) is second
    del second
    tokenizers("one", LIMIT)
    assert read == ["one", "one", "other", "one"], "it is let go with the last version that has it"
