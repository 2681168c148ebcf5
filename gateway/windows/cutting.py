"""Which windows does a long text have? Those of `transformers` with `return_overflowing_tokens` and a `stride`.

The text is tokenized whole, without special tokens. `tokenizers` then cuts it and puts the special tokens around each
window, which is what it does by itself for a tokenizer with a stride. Done step by step, the number of windows is known
before there is one, and one tokenizer does for every overlap. Each window is finished as a text of its own: the types
that `tokenizers` 0.22 gives to the later windows of a pair are not those of the first where a template has its own.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import processors

from gateway.encoding import Text, Tokens, name_of
from gateway.errors import InvalidRequestError, TooManySentencesError
from gateway.loaded_version import LoadedVersion
from gateway.windows.choices import WindowJoin
from repository.inference import mask_of

MOST_OVERLAP = 0.5
"""Of a window: else a large setting would cut a text for a model with a low limit into hundreds that differ little."""
LEAST_ROOM = 0.25
"""Of the model's limit, for the longer text of a pair: what the shorter one must leave to it in every window."""

TELLS_NO_TYPES = (type(None), processors.ByteLevel)
"""Post-processors that leave the types of tokens as they are: `tokenizers` sets those of a pair while it reads it."""


@dataclass(frozen=True, slots=True)
class Windows:
    """How long texts are read in windows."""

    overlap: int
    """Tokens that a window has in common with the next one."""
    join: WindowJoin
    most: int
    """Most windows of one request; texts that fit have none."""
    way_out: str = "ask with long_text=truncate"
    """What whoever is refused may do in their place."""


async def windows_of(
    version: LoadedVersion, texts: Sequence[Text], encoded: Sequence[Tokens], wanted: Windows
) -> list[list[Tokens]]:
    """The windows of each text, in the order of the text; a text that fits stays as it was encoded.

    Args:
        version: the version that is asked.
        texts: what is asked.
        encoded: their tokens, cut at the model's limit.
        wanted: how they are cut, and how many windows there may be.

    Raises:
        TooManySentencesError: there would be more windows than may be.
        InvalidRequestError: a pair's shorter text leaves the longer no room.
    """
    return await asyncio.to_thread(_windows_of, version, texts, encoded, wanted)


def _windows_of(
    version: LoadedVersion, texts: Sequence[Text], encoded: Sequence[Tokens], wanted: Windows
) -> list[list[Tokens]]:
    found, count = [], 0
    for place, (text, tokens) in enumerate(zip(texts, encoded, strict=True)):
        if not tokens.cut:
            found.append([tokens])
            continue
        windows = cut(version, text, wanted, name_of(place, len(texts)))
        count += len(windows)
        if count > wanted.most:
            raise TooManySentencesError(
                f"The request's long texts have more than {wanted.most} windows together, which is the most that are "
                f"taken: send fewer at a time, or {wanted.way_out}."
            )
        found.append(windows)
    return found


def cut(version: LoadedVersion, text: Text, wanted: Windows, name: str) -> list[Tokens]:
    """The windows of one text that is longer than the model reads; not for the event loop.

    Of a pair, the longer text is cut (the second of two that are equally long) and the other one is in every window,
    whole: `truncation="only_first"` or `"only_second"` of `transformers`.

    Args:
        version: the version that is asked. A tokenizer that truncates at the left counts windows from the end.
        text: the text, or pair.
        wanted: how it is cut, and how many windows it may have.
        name: what errors call it.

    Raises:
        TooManySentencesError, InvalidRequestError: as `windows_of`.
    """
    tokenizer, limit = version.tokenizers.whole(), version.manifest.max_length
    inputs = [part for part in (text.first, text.second) if part is not None]
    sides = tokenizer.encode_batch_fast(inputs, add_special_tokens=False)
    longer = sides[0] if len(sides) == 1 or len(sides[0]) > len(sides[1]) else sides[1]
    shorter_tokens = sum(map(len, sides)) - len(longer)
    room = limit - tokenizer.num_special_tokens_to_add(len(sides) == 2) - shorter_tokens
    if len(sides) == 2 and room < LEAST_ROOM * limit:
        raise InvalidRequestError(
            f"{name} is a pair whose shorter text has {shorter_tokens} tokens, too many of the model's {limit} to read "
            f"the longer one in windows beside it: shorten it, or {wanted.way_out}."
        )
    overlap = min(wanted.overlap, int(MOST_OVERLAP * room))
    count = -(-(len(longer) - overlap) // (room - overlap)) if wanted.join != "first-last" else 2
    if count > wanted.most:
        raise TooManySentencesError(
            f"{name} has {count} windows of {limit} tokens; at most {wanted.most} are taken: shorten it, or "
            f"{wanted.way_out}."
        )
    longer.truncate(room, stride=overlap, direction=version.tokenizers.side)
    pieces = [longer, *longer.overflowing]
    if wanted.join == "first-last":
        pieces = [pieces[0], pieces[-1]]  # nobody asks the others
    if version.tokenizers.side == "left":
        pieces.reverse()
    return [_window(version, [piece if side is longer else side for side in sides]) for piece in pieces]


def _window(version: LoadedVersion, sides: list[Any]) -> Tokens:
    """One window from the text, or the two of a pair, that are in it."""
    tokenizer, token_types = version.tokenizers.whole(), version.manifest.token_types
    encoding = tokenizer.post_process(*sides)
    mask = mask_of(encoding, token_types)
    if token_types and len(sides) == 2 and isinstance(tokenizer.post_processor, TELLS_NO_TYPES):
        mask = [1] * len(sides[0]) + [2] * len(sides[1])
    return Tokens(encoding.ids, mask, cut=0, is_window=True)
