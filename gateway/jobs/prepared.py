"""Rows of a table become tokens, a few at a time, in moments in which nobody else is being answered."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.batch.rows import Chunk
from gateway.encoding import Text, Tokens, encode_all, is_blank
from gateway.errors import GatewayError
from gateway.jobs.lane import Lane
from gateway.loaded_version import LoadedVersion
from gateway.rows import Row
from gateway.windows.cutting import Windows, cut

AT_ONCE = 16
"""Rows that are tokenized without a look at who else came."""
AT_ONCE_CHARACTERS = 20_000


@dataclass(frozen=True)
class Reading:
    """How the texts of a job are read."""

    truncate: bool
    windows: Windows | None
    most_bytes: int
    """Longest text that is taken, in bytes of UTF-8."""


@dataclass
class Prepared:
    """A chunk that is tokenized for a version, and what was answered so far."""

    chunk: Chunk
    version: LoadedVersion
    parts: list[range] = field(default_factory=list)
    """The pieces of each row: its text, or the windows of a long one; none of a row with an error."""
    pieces: list[Tokens] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    """The row of each piece."""
    errors: dict[int, str] = field(default_factory=dict)
    """Why a row has no answer."""
    answers: list[Row | None] = field(default_factory=list)
    """To each piece."""
    waiting: deque[int] = field(default_factory=deque)
    """Pieces that are in no call yet, the longest first."""
    unanswered: int = 0
    """Pieces that are not done with."""
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def settle(self, piece: int, answer: Row | None, error: str | None = None) -> None:
        """A piece is answered, or cannot be."""
        if error is not None:
            self.errors.setdefault(self.owners[piece], error)
        self.answers[piece] = answer
        self.unanswered -= 1
        if not self.unanswered:
            self.done.set()

    def take(self, tokens: int, sentences: int) -> list[int]:
        """Pieces for a call of at most so many tokens, padding included; one that is longer goes alone."""
        taken: list[int] = []
        if self.waiting:
            length = len(self.pieces[self.waiting[0]].ids)
            for _ in range(min(len(self.waiting), sentences, max(1, tokens // length))):
                taken.append(self.waiting.popleft())
        return taken


async def prepare(chunk: Chunk, version: LoadedVersion, reading: Reading, lane: Lane) -> Prepared:
    """The chunk with its tokens."""
    found = Prepared(chunk, version)
    place = 0
    while place < len(chunk.texts):
        end, characters = place, 0
        while end < len(chunk.texts) and end - place < AT_ONCE and characters < AT_ONCE_CHARACTERS:
            characters += len(chunk.texts[end].first) + len(chunk.texts[end].second or "")
            end += 1
        await lane.spare()
        await asyncio.to_thread(_encode, found, range(place, end), reading)
        place = end
    found.answers = [None] * len(found.pieces)
    found.waiting = deque(sorted(range(len(found.pieces)), key=lambda piece: -len(found.pieces[piece].ids)))
    found.unanswered = len(found.pieces)
    if not found.pieces:
        found.done.set()
    return found


def _encode(found: Prepared, places: range, reading: Reading) -> None:
    texts = found.chunk.texts
    asked = []
    for place in places:
        if reason := _refused(texts[place], reading):
            found.errors[place] = reason
        else:
            asked.append(place)
    pieces_of = dict(zip(asked, _pieces(found, asked, reading), strict=True))
    for place in places:
        pieces = pieces_of.get(place, [])
        found.parts.append(range(len(found.pieces), len(found.pieces) + len(pieces)))
        found.pieces += pieces
        found.owners += [place] * len(pieces)


def _pieces(found: Prepared, places: Sequence[int], reading: Reading) -> list[list[Tokens]]:
    texts = [found.chunk.texts[place] for place in places]
    pieces: list[list[Tokens]] = []
    for place, text, tokens in zip(places, texts, _tokens(found, places, texts), strict=True):
        if tokens is None:
            pieces.append([])
        elif not tokens.ids:
            found.errors[place] = "the text has no token: the model knows none of its signs"
            pieces.append([])
        elif not tokens.cut:
            pieces.append([tokens])
        else:
            pieces.append(_of_long(found, place, text, tokens, reading))
    return pieces


def _tokens(found: Prepared, places: Sequence[int], texts: Sequence[Text]) -> list[Tokens | None]:
    """The tokens of each; a text that breaks the tokenizer costs no other."""
    if not texts:
        return []
    try:
        return [*encode_all(found.version, texts, truncate=True, side=None)]
    except Exception as error:
        if len(texts) == 1:
            reason = str(error).rstrip(".") if isinstance(error, GatewayError) else "the tokenizer fails on the text"
            found.errors[places[0]] = reason
            return [None]
    return [_tokens(found, [place], [text])[0] for place, text in zip(places, texts, strict=True)]


def _of_long(found: Prepared, place: int, text: Text, tokens: Tokens, reading: Reading) -> list[Tokens]:
    """The pieces of a text that is longer than the model reads."""
    if reading.windows is not None:
        try:
            return cut(found.version, text, reading.windows, "the text")
        except GatewayError as error:
            found.errors[place] = str(error).rstrip(".")
            return []
    if not reading.truncate:
        total, limit = len(tokens.ids) + tokens.cut, found.version.manifest.max_length
        found.errors[place] = f"the text has {total} tokens; the model takes at most {limit}"
        return []
    return [tokens]


def _refused(text: Text, reading: Reading) -> str | None:
    if is_blank(text):
        return "the text is empty"
    size = len(text.first.encode()) + len((text.second or "").encode())
    if size > reading.most_bytes:
        return f"the text has {size} bytes; at most {reading.most_bytes} are taken"
    return None
