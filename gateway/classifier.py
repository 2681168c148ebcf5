"""The request path: sentences → checked → tokens → batcher → Triton → logits → labels with their scores."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.batcher import Batcher
from gateway.errors import (
    BlankSentenceError,
    DeadlineExceededError,
    InvalidRequestError,
    SentenceTooLongError,
    VersionGoneError,
)
from gateway.tokenization import Side
from gateway.versions import LoadedVersion, VersionFollower
from repository.inference import Float32Array, mask_of

QUOTES = "\"'"

LONG_TEXT = 2_000
"""Characters from which a text is tokenized on a thread, so that others are answered meanwhile: about a millisecond."""


@dataclass(frozen=True, slots=True)
class Text:
    """What is classified: a sentence, or a pair of sentences for models that were trained on pairs."""

    first: str
    second: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer to one text, and how the text fitted into the model."""

    logits: Float32Array
    """`[labels]`"""
    scores: Float32Array
    """`[labels]`"""
    tokens: int
    """Tokens that the model read."""
    cut_tokens: int
    """Tokens past the model's limit that it did not read."""
    waited_s: float
    """How long it waited for its call to Triton."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions for the texts of one request, in their order, all of one version."""

    version: LoadedVersion
    items: list[Prediction]


@dataclass(frozen=True, slots=True)
class _Tokens:
    """What is kept of a tokenizer's `Encoding` while a text waits: all of a long one takes a hundred times that."""

    ids: list[int]
    mask: list[int] | None
    """The attention mask; None for all ones."""
    cut: int


class Classifier:
    """Answers texts with whichever version is current."""

    def __init__(self, batcher: Batcher, versions: VersionFollower, deadline_s: float, max_sentence_bytes: int) -> None:
        self._batcher = batcher
        self._versions = versions
        self._deadline_s = deadline_s
        self._max_bytes = max_sentence_bytes

    async def predict(self, texts: Sequence[Text], truncate: bool = True, side: Side | None = None) -> Predictions:
        """The logits of each text.

        Args:
            texts: what to classify.
            truncate: cut a text that is too long, in place of refusing it.
            side: the end that is cut off; where the checkpoint's tokenizer cuts if None.

        Raises:
            BlankSentenceError, InvalidRequestError, SentenceTooLongError: a text cannot be classified.
            OverloadedError, NotReadyError, ModelFailedError: too much is waiting, or Triton is away, or failed.
            DeadlineExceededError: there was no answer within the deadline.
        """
        for text, name in zip(texts, _names(len(texts)), strict=True):
            self.check(text, name)
        self._batcher.admit(len(texts))
        try:
            async with asyncio.timeout(self._deadline_s):
                try:
                    return await self._ask(self._versions.version_to_ask(), texts, truncate, side)
                except VersionGoneError:
                    # Two swaps within one poll: Triton has already unloaded the version that was current.
                    await self._versions.refresh()
                    return await self._ask(self._versions.ready(), texts, truncate, side)
        except TimeoutError:
            raise DeadlineExceededError(f"No answer within {self._deadline_s:g} seconds; try again later.") from None

    async def _ask(
        self, version: LoadedVersion, texts: Sequence[Text], truncate: bool, side: Side | None
    ) -> Predictions:
        encoded = await self._encode(version, texts, side)
        if not truncate:
            for tokens, name in zip(encoded, _names(len(encoded)), strict=True):
                _refuse_cut(tokens, version.manifest.max_length, name)
        futures = [
            self._batcher.submit(version.number, version.manifest, tokens.ids, tokens.mask) for tokens in encoded
        ]
        try:
            rows = await asyncio.gather(*futures)
        finally:
            for future in futures:  # the caller hung up, the deadline passed or one failed: the others' places go
                future.cancel()
        items = [
            Prediction(row.logits, row.scores, len(tokens.ids), tokens.cut, row.waited_s)
            for row, tokens in zip(rows, encoded, strict=True)
        ]
        return Predictions(version, items)

    @staticmethod
    async def _encode(version: LoadedVersion, texts: Sequence[Text], side: Side | None) -> list[_Tokens]:
        token_types = version.manifest.token_types
        is_own = side in (None, version.tokenizers.side)
        if is_own and len(texts) == 1 and len(texts[0].first) + len(texts[0].second or "") < LONG_TEXT:
            return [_tokens(version.tokenizer.encode(texts[0].first, texts[0].second), token_types)]
        inputs = [text.first if text.second is None else (text.first, text.second) for text in texts]

        def encode() -> list[_Tokens]:
            encodings = version.tokenizers.cutting(side).encode_batch_fast(inputs)
            return [_tokens(encoding, token_types) for encoding in encodings]

        return await asyncio.to_thread(encode)

    def check(self, text: Text, name: str = "The sentence") -> None:
        """Raise BlankSentenceError, InvalidRequestError or SentenceTooLongError unless it can be classified."""
        together = text.first if text.second is None else text.first + text.second
        if not any(character.isprintable() and not character.isspace() for character in together):
            raise BlankSentenceError(f"{name} is empty: give it at least one visible character.")
        try:
            size = len(together.encode())
        except UnicodeEncodeError:
            # JSON can escape half a surrogate pair; a tokenizer cannot read it.
            raise InvalidRequestError(f"{name} has a lone surrogate, which is no character.") from None
        if size > self._max_bytes:
            raise SentenceTooLongError(f"{name} has {size} bytes; at most {self._max_bytes} are taken.")


def unquote(sentence: str) -> str:
    """Take off one pair of quotes around the whole sentence, as some clients send them; else change nothing."""
    stripped = sentence.strip()
    if len(stripped) >= 2 and stripped[0] == stripped[-1] and stripped[0] in QUOTES:
        inner = stripped[1:-1]
        if stripped[0] not in inner:
            return inner
    return sentence


def _tokens(encoding: Any, token_types: bool) -> _Tokens:
    # Special tokens are in every piece that was cut off; they do not count.
    cut = sum(piece.special_tokens_mask.count(0) for piece in encoding.overflowing)
    return _Tokens(encoding.ids, mask_of(encoding, token_types), cut)


def _names(count: int) -> list[str]:
    """What errors call the sentences of one request."""
    return ["The sentence"] if count == 1 else [f"Sentence {place}" for place in range(1, count + 1)]


def _refuse_cut(tokens: _Tokens, limit: int, name: str) -> None:
    if tokens.cut:
        total = len(tokens.ids) + tokens.cut
        raise SentenceTooLongError(f"{name} has {total} tokens; the model takes at most {limit}.")
