"""The request path: sentences → checked → tokens → batcher → Triton → logits → labels with their scores."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.batcher import Batcher
from gateway.cascade import Answerer
from gateway.encoding import Text, Tokens, bytes_of, encode, is_blank, name_of
from gateway.errors import (
    BlankSentenceError,
    DeadlineExceededError,
    GatewayError,
    SentenceTooLongError,
    VersionGoneError,
)
from gateway.loaded_version import LoadedVersion
from gateway.named_versions import NamedVersions
from gateway.places import Places
from gateway.tokenization import Side
from gateway.tracing.parts import ClassifierSpans
from gateway.versions import VersionFollower
from gateway.watching.watcher import Watcher
from gateway.windows.cutting import Windows, windows_of
from gateway.windows.joining import joined
from repository.inference import Float32Array

VERSIONS_TRIED = 3

QUOTES = "\"'"


@dataclass(frozen=True, slots=True)
class Prediction:
    """The model's answer to one text, and how the text fitted into the model."""

    logits: Float32Array
    """`[labels]`"""
    scores: Float32Array
    """`[labels]`"""
    waited_s: float
    """How long it waited for the call to Triton that answered it."""
    by: Literal["student", "model"] | None
    """Who answered; None where the version has no student, or none is asked."""
    tokens: int
    """Tokens that the model read."""
    cut_tokens: int
    """Tokens past the model's limit that it did not read."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions for the texts of one request, in their order, all of one version."""

    version: LoadedVersion
    items: list[Prediction]
    windows: list[int] | None = None
    """How many windows each text was read in; None where none was longer than the model reads, or all were cut."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """The texts of one request, and how they are read; see `Classifier.predict`."""

    texts: Sequence[Text]
    truncate: bool
    side: Side | None
    windows: Windows | None
    alone: bool
    places: Places


class OnTrial(Protocol):
    """A candidate beside the current version, as requests meet it; see `gateway.candidates`."""

    async def predict(
        self,
        texts: Sequence[Text],
        side: Side | None,
        ask: Callable[[LoadedVersion], Awaitable[Predictions]],
        ask_current: Callable[[], Awaitable[Predictions]],
    ) -> Predictions:
        """The answer to a request, of one of the two."""


class Classifier:
    """Answers texts with whichever version is current, or with the one that is named."""

    def __init__(
        self,
        batcher: Batcher,
        versions: VersionFollower,
        named: NamedVersions,
        deadline_s: float,
        max_sentence_bytes: int,
        answerer: Answerer | None = None,
        watcher: Watcher | None = None,
    ) -> None:
        self._batcher = batcher
        self._answerer = answerer or Answerer(batcher)
        self._watcher = watcher
        self._versions = versions
        self._named = named
        self._deadline_s = deadline_s
        self._max_bytes = max_sentence_bytes
        self.trial: OnTrial | None = None
        """What requests meet that name no version, while there is a candidate."""
        self.encode = encode
        self.spans: ClassifierSpans | None = None
        """What follows requests; None where none is traced."""

    async def predict(
        self,
        texts: Sequence[Text],
        truncate: bool = True,
        side: Side | None = None,
        version: int | None = None,
        windows: Windows | None = None,
        alone: bool = False,
        within_s: float = math.inf,
    ) -> Predictions:
        """The logits of each text.

        Args:
            texts: what to classify.
            truncate: cut a text that is too long, in place of refusing it.
            side: the end that is cut off; where the checkpoint's tokenizer cuts if None.
            version: the version that is asked; the current one if None.
            windows: read a text that is too long in windows, in place of cutting or refusing it.
            alone: no student answers in the model's place, see `Answerer.answers`.
            within_s: how long the caller waits, where that is shorter than the deadline.

        Raises:
            BlankSentenceError, InvalidRequestError, SentenceTooLongError: a text cannot be classified, or the version
                that was named cannot be asked.
            TooManySentencesError: there would be more windows than `windows` allows.
            VersionGoneError: no Triton serves the version that was named any more.
            OverloadedError, NotReadyError, ModelFailedError: too much is waiting, or Triton is away, or failed.
            DeadlineExceededError: there was no answer within the deadline.
        """
        deadline_s = min(self._deadline_s, within_s)
        try:
            for place, text in enumerate(texts):
                self._check(text, name_of(place, len(texts)))
            with self._batcher.admit(len(texts), deadline_s) as places:
                asked = _Asked(texts, truncate, side, windows, alone, places)
                async with asyncio.timeout(deadline_s):
                    if version is not None:
                        return await self._ask(await self._named.get(version), asked)
                    if self.trial is not None:
                        return await self._ask_on_trial(self.trial, asked)
                    return await self._ask_until_known(asked)
        except TimeoutError:
            late = DeadlineExceededError(f"No answer within {round(deadline_s, 3):g} seconds; try again later.")
            raise self._traced(late) from None
        except GatewayError as error:
            self._traced(error)
            raise

    def _traced(self, error: GatewayError) -> GatewayError:
        if self.spans is not None:
            self.spans.failed(error)
        return error

    async def version(self, number: int | None) -> LoadedVersion:
        """The version of that number, or the one to ask where none is named.

        Raises:
            InvalidRequestError: that one cannot be asked.
            NotReadyError, VersionGoneError: there is none at present.
        """
        return self._versions.version_to_ask() if number is None else await self._named.get(number)

    def check_version(self, number: int) -> None:
        """Raise UnknownVersionError or UnusedVersionError if it cannot be asked; see `NamedVersions.check`."""
        self._named.check(number)

    async def _ask_until_known(self, asked: _Asked) -> Predictions:
        """Ask the current version; the one that is current then, if no Triton serves it any more."""
        for _ in range(VERSIONS_TRIED - 1):
            try:
                return await self._ask(self._versions.version_to_ask(), asked)
            except VersionGoneError as gone:
                # Two swaps within one poll, or a version that was taken back; or it is not everywhere yet.
                asked.places.hold(len(asked.texts))
                if self.spans is not None:
                    self.spans.asked_again(str(gone))
                await self._versions.refresh(lost=gone.version)
        return await self._ask(self._versions.ready(), asked)

    async def _ask_on_trial(self, trial: OnTrial, asked: _Asked) -> Predictions:
        def ask(version: LoadedVersion) -> Awaitable[Predictions]:
            return self._ask(version, asked)

        def ask_current() -> Awaitable[Predictions]:
            asked.places.hold(len(asked.texts))  # the candidate may have been asked first
            return self._ask_until_known(asked)

        return await trial.predict(asked.texts, asked.side, ask, ask_current)

    async def _ask(self, version: LoadedVersion, asked: _Asked) -> Predictions:
        encoded = await self.encode(version, asked.texts, asked.truncate or asked.windows is not None, asked.side)
        if asked.windows is not None and any(tokens.cut for tokens in encoded):
            return await self._ask_in_windows(version, asked, encoded, asked.windows)
        asked.places.hold(0)
        items = [
            Prediction(*answered, tokens=len(tokens.ids), cut_tokens=tokens.cut)
            for answered, tokens in zip(
                await self._answerer.answers(version, encoded, asked.alone), encoded, strict=True
            )
        ]
        if self._watcher is not None:
            self._watcher.note(version, asked.texts, encoded, items)
        return Predictions(version, items)

    async def _ask_in_windows(
        self, version: LoadedVersion, asked: _Asked, encoded: Sequence[Tokens], windows: Windows
    ) -> Predictions:
        """Ask for each window as for a sentence, and join the answers of each text."""
        parts = await windows_of(version, asked.texts, encoded, windows)
        pieces = [tokens for part in parts for tokens in part]
        self._batcher.admit(len(pieces) - len(asked.texts)).hold(0)  # refuses, or lets them in: they count themselves
        asked.places.hold(0)
        answers = iter(await self._answerer.answers(version, pieces, asked.alone))
        problem_type = version.manifest.problem_type
        items = [
            Prediction(
                *joined([next(answers) for _ in part], windows.join, problem_type),
                tokens=sum(len(tokens.ids) for tokens in part),
                cut_tokens=0,
            )
            for part in parts
        ]
        if self._watcher is not None:
            self._watcher.note(version, asked.texts, encoded, items)
        return Predictions(version, items, [len(part) for part in parts])

    def _check(self, text: Text, name: str) -> None:
        """Raise BlankSentenceError, InvalidRequestError or SentenceTooLongError unless it can be classified."""
        together = text.first if text.second is None else text.first + text.second
        if is_blank(text):
            raise BlankSentenceError(f"{name} is empty: give it at least one visible character.")
        size = bytes_of(together, name)
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
