"""What does a line of feedback say, and how are such lines read again? The gateway writes them, training reads them.

A folder (or a prefix in S3) holds files of JSON Lines, `feedback-*.jsonl`, of which any may hold any line. Of several
lines about one answer the latest counts: somebody changed their mind.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from repository.bucket import Bucket
from repository.location import S3Location
from repository.manifest import RepositoryError

PREFIX, SUFFIX = "feedback-", ".jsonl"

Right = list[str] | float
"""The labels of an answer, one of a model that answers one; the number of a regression."""


class FeedbackLine(BaseModel):
    """One line: what was answered, and what would have been right."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())  # later ones may say more

    time: float = Field(description="When it came, in seconds since 1970.")
    model: str
    version: int
    id: str = Field(description="The request's, as the header X-Request-ID told it.")
    index: int = Field(0, ge=0, description="Place of the sentence in its request.")
    answered: Right
    score: float | None = None
    right: Right
    is_right: bool | None = Field(None, description="Whether the answer was; null for a number.")
    sentence: str | None = Field(None, description="Where FEEDBACK_SENTENCES lets it be kept.")

    def encoded(self) -> bytes:
        """As one line, its end included."""
        text = json.dumps(self.model_dump(exclude_none=True), ensure_ascii=True, allow_nan=False)
        return text.encode() + b"\n"


@dataclass(frozen=True)
class FeedbackRead:
    """The latest feedback to each answer, in the order it came."""

    lines: list[FeedbackLine]
    broken: int
    """Lines that are none, such as one that was being written when the machine stopped."""


def read_feedback(location: Path | S3Location) -> FeedbackRead:
    """All feedback below a folder or a prefix in S3.

    Raises:
        RepositoryError: there is none, it cannot be read, or it is of several models.
    """
    latest: dict[tuple[str, int], FeedbackLine] = {}
    broken = 0
    for content in _files(location):
        for raw in content.splitlines():
            try:
                line = FeedbackLine.model_validate_json(raw)
            except ValidationError:
                broken += bool(raw.strip())
                continue
            before = latest.get((line.id, line.index))
            if before is None or before.time <= line.time:
                latest[line.id, line.index] = line
    models = sorted({line.model for line in latest.values()})
    if len(models) > 1:
        raise RepositoryError(f"{location} holds feedback on {', '.join(models)}: name the folder of one of them")
    return FeedbackRead(sorted(latest.values(), key=lambda line: line.time), broken)


def _files(location: Path | S3Location) -> Iterator[bytes]:
    found = _in_bucket(location) if isinstance(location, S3Location) else _in_folder(location)
    is_empty = True
    for content in found:
        is_empty = False
        yield content
    if is_empty:
        raise RepositoryError(f"{location} holds no {PREFIX}*{SUFFIX}: name what FEEDBACK of the gateway was")


def _in_folder(folder: Path) -> Iterable[bytes]:
    if not folder.is_dir():
        raise RepositoryError(f"{folder} is no folder: name what FEEDBACK of the gateway was")
    try:
        yield from (path.read_bytes() for path in sorted(folder.rglob(f"{PREFIX}*{SUFFIX}")))
    except OSError as error:
        raise RepositoryError(f"{error.filename} cannot be read: {error.strerror}") from None


def _in_bucket(location: S3Location) -> Iterable[bytes]:
    bucket = Bucket(location)
    for item in bucket.list():
        name = item.name.rpartition("/")[2]
        if name.startswith(PREFIX) and name.endswith(SUFFIX):
            yield bucket.read(item.name)[0]
