"""Where data comes from: a file, a folder of Hugging Face datasets, or a dataset on the hub; always as tables."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from repository.console import Console
from training.data.columns import Wanted
from training.data.examples import DataError
from training.data.file_text import GZIP_SUFFIX
from training.data.split import SplitName
from training.data.tables import SUFFIXES, Table, read_table

_SAVED = ("dataset_dict.json", "state.json")
"""What `save_to_disk` leaves in a folder: of several splits, of one."""
_SPLITS: dict[str, SplitName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


def read_source(source: Path | str, wanted: Wanted, whole: bool = False) -> list[tuple[SplitName, Table]]:
    """Return the tables of a source with the split that each is.

    Args:
        source: a file; a folder that `datasets` wrote, or that holds data files as on the hub; or a hub id.
        wanted: columns by which the header of a CSV file is known.
        whole: take all that there is as one split, as of a file that was named for it. Of a dataset with several
            splits, a validation or test split is taken before the training split.

    Raises:
        DataError: it can't be read, or `datasets` is needed and not installed.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return [("train", read_table(path, wanted.names))]
    if not path.is_dir() and (isinstance(source, Path) or not _HUB_ID.fullmatch(source) or path.suffix in _FILES):
        raise DataError(f"{source}: there is no such file.")
    tables = list(_tables(str(source), path if path.is_dir() else None))
    if not tables:
        raise DataError(f"{source} has no split that is called train, validation or test.")
    if whole:
        held_out = [entry for entry in tables if entry[0] != "train"]
        return held_out[:1] or tables
    return tables


# A name that ends so is one of a file, not of a dataset on the hub.
_FILES = {*SUFFIXES, GZIP_SUFFIX, ".txt", ".xlsx"}


def _tables(name: str, folder: Path | None) -> Iterator[tuple[SplitName, Table]]:
    try:
        import datasets
        from huggingface_hub.utils import logging as hub_logging
    except ImportError:
        raise DataError(f"{name} is read by Hugging Face's datasets: run `pip install datasets`.") from None
    datasets.disable_progress_bars()
    # Five retries, each with a stack of causes; the last one is told below.
    hub_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        if folder is None:
            with Console(stderr=True).doing(f"Asking the Hugging Face hub for the dataset {name}…"):
                loaded = datasets.load_dataset(name)
        elif any((folder / file).is_file() for file in _SAVED):
            loaded = datasets.load_from_disk(str(folder))
        else:
            loaded = datasets.load_dataset(str(folder))
    except Exception as error:  # the library raises its own, the hub's, pyarrow's and the system's
        raise DataError(_refusal(name, folder, error)) from None
    splits: dict[str, Any] = loaded if isinstance(loaded, dict) else {"train": loaded}
    if not all(split in _SPLITS for split in splits) and len(splits) == 1:
        splits = {"train": next(iter(splits.values()))}
    for split, dataset in splits.items():
        if split in _SPLITS:
            yield _SPLITS[split], _table(f"{name} ({split})" if len(splits) > 1 else name, dataset)


def _refusal(name: str, folder: Path | None, error: Exception) -> str:
    cause = error.__cause__ or error
    reason = f"{type(cause).__name__}: {' '.join(str(cause).split())[:200].rstrip('.')}"
    if folder is None:
        return f"{name} is no file or folder here, nor a dataset on the hub that can be reached ({reason})."
    # The library has its own words for a table without a row, in each of its layouts another.
    if isinstance(cause, IndexError) or "no data" in str(cause) or "BatchSize must be greater than 0" in str(cause):
        return f"{name} has no row, or no whole one ({reason})."
    return f"{name} is no folder of Hugging Face datasets ({reason})."


def _table(name: str, dataset: Any) -> Table:
    def load(wanted: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
        readers = {column: _reader(dataset.features[column]) for column in wanted}
        for number, record in enumerate(dataset.select_columns(list(wanted)), start=1):
            yield number, {column: read(record[column]) for column, read in readers.items()}

    return Table(Path(name), dataset._fingerprint, "row", tuple(dataset.column_names), load)


def _reader(feature: Any) -> Any:
    """Return what makes texts of the numbers of a ClassLabel, alone or in a list; -1 stands for no label."""
    names = getattr(feature, "names", None)
    if names is not None:
        return lambda value: None if value is None or value < 0 else names[value]
    inner = getattr(feature, "feature", None) if not isinstance(feature, list) else feature[0]
    inner_names = getattr(inner, "names", None)
    if inner_names is not None:
        return lambda values: None if values is None else [inner_names[value] for value in values]
    return lambda value: value
