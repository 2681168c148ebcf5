"""How do texts become token ids? With the tokenizer of the version that is asked, cut at that version's limit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.errors import InvalidRequestError, SentenceTooLongError
from gateway.loaded_version import LoadedVersion
from gateway.tokenization import Side
from repository.inference import mask_of

LONG_TEXT = 2_000
"""Characters from which a text is tokenized on a thread, so that others are answered meanwhile: about a millisecond."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is classified: a sentence, or a pair of sentences for models that were trained on pairs."""

    first: str
    second: str | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is kept of a tokenizer's `Encoding` while a text waits: all of a long one takes a hundred times that."""

    ids: list[int]
    mask: list[int] | None
    """The attention mask; None for all ones."""
    cut: int
    """Tokens past the model's limit."""
    is_window: bool = False
    """Whether they are a part of a longer text, and not all that was asked."""


async def encode(version: LoadedVersion, texts: Sequence[Text], truncate: bool, side: Side | None) -> list[Tokens]:
    """The tokens of each text.

    Args:
        version: the version that is asked.
        texts: what its tokenizer reads.
        truncate: cut a text that is too long, in place of refusing it.
        side: the end that is cut off; where the checkpoint's tokenizer cuts if None.

    Raises:
        SentenceTooLongError: a text has more tokens than the model takes, and must not be cut.
        InvalidRequestError: the tokenizer finds no token in a text.
    """
    is_own = side in (None, version.tokenizers.side)
    if is_own and len(texts) == 1 and texts[0].second is None and len(texts[0].first) < LONG_TEXT:
        encoded = [_tokens(version.tokenizer.encode(texts[0].first), version.manifest.token_types)]
    else:
        encoded = await asyncio.to_thread(encode_all, version, texts, truncate, side)
    for place, tokens in enumerate(encoded):
        if not tokens.ids:
            raise InvalidRequestError(f"{name_of(place, len(texts))} has no token: the model knows none of its signs.")
        if tokens.cut and not truncate:
            total, limit = len(tokens.ids) + tokens.cut, version.manifest.max_length
            name = name_of(place, len(texts))
            raise SentenceTooLongError(f"{name} has {total} tokens; the model takes at most {limit}.")
    return encoded


def name_of(place: int, count: int) -> str:
    """What errors call one of the sentences of a request, counted from 0."""
    return "The sentence" if count == 1 else f"Sentence {place + 1}"


def bytes_of(text: str, name: str) -> int:
    """How many bytes a text has as UTF-8.

    Raises:
        InvalidRequestError: it has half a surrogate pair, which JSON can escape and no tokenizer can read; `name` is
            what the error calls the text.
    """
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise InvalidRequestError(f"{name} has a lone surrogate, which is no character.") from None


def is_blank(text: Text) -> bool:
    """Whether nothing of a text can be seen: no version is asked then."""
    if text.first[:1].isalnum():  # nearly every text
        return False
    together = text.first if text.second is None else text.first + text.second
    return not any(character.isprintable() and not character.isspace() for character in together)


def encode_all(version: LoadedVersion, texts: Sequence[Text], truncate: bool, side: Side | None) -> list[Tokens]:
    """The same on this thread, for whoever keeps others waiting by it; a text may be left without a token."""
    tokenizer = version.tokenizers.cutting(side)
    inputs = [
        text.first if text.second is None else _shorten(tokenizer, (text.first, text.second), truncate)
        for text in texts
    ]
    return [_tokens(encoding, version.manifest.token_types) for encoding in tokenizer.encode_batch_fast(inputs)]


def _tokens(encoding: Any, token_types: bool) -> Tokens:
    # Special tokens are in every piece that was cut off; they do not count.
    cut = sum(piece.special_tokens_mask.count(0) for piece in encoding.overflowing)
    return Tokens(encoding.ids, mask_of(encoding, token_types), cut)


def _shorten(tokenizer: Any, pair: tuple[str, str], truncate: bool) -> tuple[str, str]:
    """The pair, cut to a little more than the model reads if it is far too long for it.

    `tokenizers` keeps what it cuts off of a pair as every piece of one side together with every piece of the other:
    gigabytes for two long sides. Sides that were cut one by one give the same tokens, and their number can be told.

    Raises:
        SentenceTooLongError: the pair has more tokens than the model takes, and must not be cut.
    """
    encodings = [tokenizer.encode(part) for part in pair]
    lengths = [
        sum(piece.special_tokens_mask.count(0) for piece in (encoding, *encoding.overflowing)) for encoding in encodings
    ]
    total = sum(lengths) + tokenizer.num_special_tokens_to_add(True)
    limit = tokenizer.truncation["max_length"]
    if total > limit and not truncate:
        raise SentenceTooLongError(f"The pair has {total} tokens; the model takes at most {limit}.")
    # More than the model reads of either, and the longer stays the longer: it gets the token that is left over.
    pieces = (3, 2) if lengths[0] > lengths[1] else (2, 3)
    at_left = tokenizer.truncation["direction"] == "left"
    first, second = (_near_end(*part, at_left) for part in zip(pair, encodings, pieces, strict=True))
    return first, second


def _near_end(text: str, encoding: Any, pieces: int, at_left: bool) -> str:
    """As much of the text as is in that many pieces, each as long as the model's limit, of the end that is kept."""
    if len(encoding.overflowing) < pieces:
        return text
    outermost = encoding.overflowing[pieces - 2]
    # Special tokens are in every piece, and are nowhere in the text.
    spans = [
        span for span, special in zip(outermost.offsets, outermost.special_tokens_mask, strict=True) if not special
    ]
    return text[min(start for start, _ in spans) :] if at_left else text[: max(end for _, end in spans)]
