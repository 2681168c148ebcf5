"""A checkpoint knows what it was tested on: which groups, or rows, were in which split when it was trained."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

from repository.manifest import ProblemType
from repository.strict_json import strict_json
from training.data.columns import MAPS, Columns, Wanted
from training.data.examples import DataError, Example
from training.data.lookalikes import alike_title, seen
from training.data.split import SPLIT_NAMES, SplitKind, SplitName

SPLIT_FILE = "split.json"
SCHEMA_VERSION = 2
# Of a SHA-256, in hexadecimal digits: a million groups have one chance in 37 million that two are taken for one.
_DIGITS = 16


@dataclass(frozen=True)
class SplitRecord:
    """`split.json` of a checkpoint, and of the version that was exported from it."""

    file: str
    """Name of the data file."""
    sha256: str
    """Of that file."""
    kind: SplitKind
    columns: Columns
    """Which of its columns were read."""
    task: ProblemType
    members: Mapping[SplitName, frozenset[str]]
    """Digests of the groups' names, or of the rows, by split; nobody's texts can be read from them."""
    titles: Mapping[SplitName, frozenset[str]]
    """Digests of the groups' titles: a group that was trained on may come back under another name."""

    @classmethod
    def of(
        cls,
        file: str,
        sha256: str,
        kind: SplitKind,
        splits: Mapping[SplitName, Sequence[Example]],
        columns: Columns = MAPS,
        task: ProblemType = ProblemType.SINGLE_LABEL,
    ) -> "SplitRecord":
        """Return the record of a split that was dealt."""
        members = {name: frozenset(_member(example, kind) for example in splits[name]) for name in SPLIT_NAMES}
        titles: dict[SplitName, frozenset[str]] = {name: frozenset() for name in SPLIT_NAMES}
        if kind == "groups":
            titles = {name: frozenset(_title(e) for e in splits[name] if e.group_title) for name in SPLIT_NAMES}
        return cls(file, sha256, kind, columns, task, members, titles)

    @property
    def wanted(self) -> Wanted:
        """What other data of the same columns is read by."""
        columns = self.columns
        if columns.group_title is not None:  # mind maps are known by the names of their columns
            return Wanted(task=self.task)
        return Wanted(columns.text, columns.label, columns.group, columns.language, columns.separator, self.task)

    def joined(self, before: "SplitRecord") -> "SplitRecord":
        """Return the record of a model that was trained twice: what one of both holds, at the first split that does."""
        members, titles = (
            {name: own[name] | older[name] for name in SPLIT_NAMES}
            for own, older in ((self.members, before.members), (self.titles, before.titles))
        )
        return replace(self, members=members, titles=titles)

    def split_of(self, example: Example) -> SplitName | None:
        """Return where the example was when the model was trained; None if it was nowhere.

        In doubt it was trained on: its group's title was, or its group.
        """
        member, title = _member(example, self.kind), _title(example) if example.group_title else ""
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
            "columns": self.columns.as_json(),
            "task": self.task.value,
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
            if content["schema_version"] == 1:  # knew mind maps alone
                kind = {"maps": "groups"}.get(content["kind"], content["kind"])
                content |= {"kind": kind, "columns": MAPS.as_json(), "task": ProblemType.SINGLE_LABEL.value}
            elif content["schema_version"] != SCHEMA_VERSION:
                raise ValueError("another schema")
            if content["kind"] not in get_args(SplitKind):
                raise ValueError("another kind of split")
            return cls(
                str(content["file"]),
                str(content["sha256"]),
                content["kind"],
                Columns.from_json(content["columns"]),
                ProblemType(content["task"]),
                {name: _digests(content[name]) for name in SPLIT_NAMES},
                {name: _digests(content["titles"][name]) for name in SPLIT_NAMES},
            )
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


def combined_split(example: Example, records: Sequence[SplitRecord | None]) -> SplitName | None:
    """Return where an example was for several models: trained on if by one, in the test split if in that of all."""
    found = [None if record is None else record.split_of(example) for record in records]
    for name in ("train", "validation"):
        if name in found:
            return name
    return "test" if found and set(found) == {"test"} else None


def _member(example: Example, kind: SplitKind) -> str:
    # Of split files of their own, groups may be numbered anew in each.
    return _digest((seen(example.group),) if kind == "groups" else (seen(example.group), example.text))


def _title(example: Example) -> str:
    return _digest(("title", alike_title(example.group_title)))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_DIGITS]
