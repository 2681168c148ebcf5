"""The request path: one sentence → tokens → Triton → logits → the label and its score."""

import asyncio
from dataclasses import dataclass

from gateway.errors import BlankSentenceError, DeadlineExceededError, SentenceTooLongError, VersionGoneError
from gateway.triton import TritonClient
from gateway.versions import LoadedVersion, VersionFollower
from repository.inference import pad_batch, scores

QUOTES = "\"'"


@dataclass(frozen=True)
class Answer:
    """The best label of a sentence, and the version that gave it."""

    label: str
    score: float
    version: int


class Classifier:
    """Answers sentences with whichever version is current."""

    def __init__(self, triton: TritonClient, versions: VersionFollower, deadline_s: float, max_bytes: int) -> None:
        self._triton = triton
        self._versions = versions
        self._deadline_s = deadline_s
        self._max_bytes = max_bytes

    async def classify(self, sentence: str) -> Answer:
        """The best label for a sentence.

        Raises:
            BlankSentenceError, SentenceTooLongError: the sentence cannot be classified.
            NotReadyError, ModelFailedError: Triton is away, or failed.
            DeadlineExceededError: there was no answer within the deadline.
        """
        text = self._checked(sentence)
        try:
            async with asyncio.timeout(self._deadline_s):
                return await self._ask(text)
        except TimeoutError:
            raise DeadlineExceededError(f"No answer within {self._deadline_s:g} seconds; try again later.") from None

    async def _ask(self, text: str) -> Answer:
        version = self._versions.version_to_ask()
        try:
            return await self._ask_version(version, text)
        except VersionGoneError:
            # Two swaps within one poll of the follower: Triton has already unloaded the version that was current.
            await self._versions.refresh()
            return await self._ask_version(self._versions.ready(), text)

    async def _ask_version(self, version: LoadedVersion, text: str) -> Answer:
        manifest = version.manifest
        inputs = pad_batch([version.tokenizer.encode(text).ids], manifest.pad_token_id)
        logits = await self._triton.infer(version.number, inputs)
        row = scores(logits, manifest.problem_type)[0]
        best = int(row.argmax())
        return Answer(manifest.labels[best], float(row[best]), version.number)

    def _checked(self, sentence: str) -> str:
        text = unquote(sentence)
        if not any(character.isprintable() and not character.isspace() for character in text):
            raise BlankSentenceError("The sentence is empty: give it at least one visible character.")
        size = len(text.encode("utf-8", errors="surrogatepass"))
        if size > self._max_bytes:
            raise SentenceTooLongError(f"The sentence has {size} bytes; at most {self._max_bytes} are taken.")
        return text


def unquote(sentence: str) -> str:
    """Take off one pair of quotes around the whole sentence, as some clients send them; else change nothing."""
    stripped = sentence.strip()
    if len(stripped) >= 2 and stripped[0] == stripped[-1] and stripped[0] in QUOTES:
        inner = stripped[1:-1]
        if stripped[0] not in inner:
            return inner
    return sentence
