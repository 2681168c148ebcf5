"""A checkpoint knows what it was tested on: which maps, or rows, were in which split when it was trained."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from repository.strict_json import strict_json
from training.ideas import DataError, Idea
from training.lookalikes import alike_title, seen
from training.split import SPLIT_NAMES, SplitKind, SplitName

SPLIT_FILE = "split.json"
SCHEMA_VERSION = 1
# Of a SHA-256, in hexadecimal digits: a million maps have one chance in 37 million that two are taken for one.
_DIGITS = 16


@dataclass(frozen=True)
class SplitRecord:
    """`split.json` of a checkpoint, and of the version that was exported from it."""

    file: str
    """Name of the data file."""
    sha256: str
    """Of that file."""
    kind: SplitKind
    members: dict[SplitName, frozenset[str]]
    """Digests of the maps' ids, or of the rows, by split; nobody's titles can be read from them."""
    titles: dict[SplitName, frozenset[str]]
    """Digests of the maps' titles: a map that was trained on may come back under another id."""

    @classmethod
    def of(cls, file: str, sha256: str, kind: SplitKind, splits: dict[SplitName, list[Idea]]) -> "SplitRecord":
        """Return the record of a split that was dealt."""
        members: dict[SplitName, frozenset[str]] = {
            name: frozenset(_member(idea, kind) for idea in ideas) for name, ideas in splits.items()
        }
        titles: dict[SplitName, frozenset[str]] = {name: frozenset() for name in SPLIT_NAMES}
        if kind == "maps":
            titles = {name: frozenset(_title(i) for i in ideas if i.map_title) for name, ideas in splits.items()}
        return cls(file, sha256, kind, members, titles)

    def split_of(self, idea: Idea) -> SplitName | None:
        """Return where the idea was when the model was trained; None if it was nowhere.

        In doubt an idea was trained on: its map's title was, or its id.
        """
        member, title = _member(idea, self.kind), _title(idea) if idea.map_title else ""
        for name in ("train", "validation"):
            if member in self.members[name] or title in self.titles[name]:
                return name
        return "test" if member in self.members["test"] else None

    def write(self, folder: Path) -> None:
        """Write `folder/split.json`."""
        content: dict[str, object] = {
            "schema_version": SCHEMA_VERSION,
            "file": self.file,
            "sha256": self.sha256,
            "kind": self.kind,
            **{name: sorted(self.members[name]) for name in SPLIT_NAMES},
            "titles": {name: sorted(self.titles[name]) for name in SPLIT_NAMES},
        }
        (folder / SPLIT_FILE).write_text(strict_json(content, indent=0) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "SplitRecord | None":
        """Read `folder/split.json`; None where there is none, as in a checkpoint that was trained elsewhere.

        Raises:
            DataError: it is no such record.
        """
        path = folder / SPLIT_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content["schema_version"] != SCHEMA_VERSION or content["kind"] not in get_args(SplitKind):
                raise ValueError("another schema")
            members = {name: _digests(content[name]) for name in SPLIT_NAMES}
            titles = {name: _digests(content["titles"][name]) for name in SPLIT_NAMES}
            return cls(str(content["file"]), str(content["sha256"]), content["kind"], members, titles)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError):
            raise DataError(
                f"{path} is no record of a split: train again, or take the file out (no data is its test split then)."
            ) from None


def _digests(found: object) -> frozenset[str]:
    if not isinstance(found, list) or not all(isinstance(digest, str) for digest in found):
        raise TypeError("digests are needed")
    return frozenset(found)


def combined_split(idea: Idea, records: Sequence[SplitRecord | None]) -> SplitName | None:
    """Return where an idea was for several models: trained on if by one, in the test split if in that of all."""
    found = [None if record is None else record.split_of(idea) for record in records]
    for name in ("train", "validation"):
        if name in found:
            return name
    return "test" if found and set(found) == {"test"} else None


def _member(idea: Idea, kind: SplitKind) -> str:
    return _digest((seen(idea.map_id),) if kind == "maps" else (seen(idea.map_id), idea.sentence))


def _title(idea: Idea) -> str:
    return _digest(("title", alike_title(idea.map_title)))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]
