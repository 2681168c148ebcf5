"""The data of a training run: a file's ideas in three splits; needs neither torch nor scikit-learn."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from training.ideas import DataError, Idea, fold_white_space
from training.lookalikes import groups_alike, spelled_out
from training.maps_csv import REQUIRED_COLUMNS, read_maps_csv
from training.near_copies import joined_maps
from training.split import LEAST_MAPS_OF_A_CLASS, SPLIT_NAMES, SplitKind, SplitName, split_ideas
from training.split_record import SplitRecord

__all__ = [
    "LEAST_MAPS_OF_A_CLASS",
    "REQUIRED_COLUMNS",
    "SPLIT_NAMES",
    "DataError",
    "Idea",
    "SplitKind",
    "SplitName",
    "TrainingData",
    "fold_white_space",
    "load_data",
    "load_split",
]


@dataclass(frozen=True)
class TrainingData:
    """A file's ideas, split."""

    path: Path
    sha256: str
    split_kind: SplitKind
    splits: dict[SplitName, list[Idea]]
    skipped: dict[str, int]
    """Rows left out, counted by the column that was empty in them."""
    look_alikes: list[list[str]]
    """Groups of classes that look alike, or differ in capitals alone."""
    copies: list[list[str]]
    """Groups of maps, by id, that are copies of each other; each is in one split."""

    @property
    def labels(self) -> list[str]:
        """The classes, sorted by name: the order of the model's outputs."""
        return sorted({idea.label for ideas in self.splits.values() for idea in ideas})

    @property
    def warnings(self) -> list[str]:
        """What is likely not meant in the file, a line each."""
        ideas = Counter(idea.label for members in self.splits.values() for idea in members)
        return [
            f"classes that look alike are trained as {len(group)}: "
            + ", ".join(f'"{spelled_out(label)}" ({ideas[label]} ideas)' for label in group)
            for group in self.look_alikes
        ]

    @property
    def record(self) -> SplitRecord:
        """What the checkpoint keeps of the split."""
        return SplitRecord.of(self.path.name, self.sha256, self.split_kind, self.splits)

    def counts(self) -> dict[str, dict[str, object]]:
        """Return for each split its number of maps and ideas, and its ideas by class."""
        return {
            name: {
                "maps": len({idea.map_id for idea in ideas}),
                "ideas": len(ideas),
                "ideas_per_class": dict(sorted(Counter(idea.label for idea in ideas).items())),
            }
            for name, ideas in self.splits.items()
        }


def load_data(csv_path: Path | str, split_kind: SplitKind = "maps") -> TrainingData:
    """Read the file at `csv_path` (of any kind that `training.tables` knows) and split its ideas.

    Raises:
        DataError: the file can't be trained on; the message names the file, the row and the column.
    """
    path = Path(csv_path)
    maps_file = read_maps_csv(path)
    look_alikes = groups_alike(idea.label for idea in maps_file.ideas)
    try:
        splits = split_ideas(maps_file.ideas, split_kind)
    except DataError as error:
        alike = "; ".join(" and ".join(f'"{spelled_out(label)}"' for label in group) for group in look_alikes)
        hint = f" Classes that look alike: {alike}." if alike else ""
        raise DataError(f"{path}: {error}{hint}") from None
    copies = sorted(group for group in joined_maps(maps_file.ideas) if len(group) > 1)
    return TrainingData(path, maps_file.sha256, split_kind, splits, maps_file.skipped, look_alikes, copies)


def load_split(csv_path: Path | str, split: SplitName = "test") -> tuple[list[str], list[str]]:
    """Return the sentences of one split by map of the CSV file, and their labels beside them.

    The test split is the one that `training_report.json` gives figures for: export measures precisions on it.

    Raises:
        DataError: the file can't be trained on.
        ValueError: there is no such split.
    """
    if split not in SPLIT_NAMES:
        raise ValueError(f"there is no split {split!r}; choose one of {', '.join(SPLIT_NAMES)}.")
    ideas = load_data(csv_path).splits[split]
    return [idea.sentence for idea in ideas], [idea.label for idea in ideas]
