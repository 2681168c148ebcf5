"""Which versions are measured: published ones, folders, and checkpoints that are exported for it."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.versions.row import Row
from repository.manifest import MANIFEST_FILE, Precision
from repository.store import ModelStore

Report = Callable[[str], None]


def named(given: str, among: Sequence[str] = ()) -> tuple[str, str]:
    """`NAME=WHAT`, or WHAT alone, as a name and what it means; a name that is taken gets a number.

    Raises:
        BenchmarkError: one of both is empty.
    """
    name, separator, what = given.partition("=")
    if not separator:
        name, what = Path(given).name or given, given
    if not name or not what:
        raise BenchmarkError(f"{given!r} is no version: give NAME=FOLDER, a folder, or a number")
    count = 2
    unique = name
    while unique in among:
        unique, count = f"{name} ({count})", count + 1
    return unique, what


def published_row(given: str, store: ModelStore, among: Sequence[str]) -> Row:
    """A version by its number in the model repository, or by its folder.

    Raises:
        BenchmarkError: there is none.
    """
    name, what = named(given, among)
    folder = store.folder / what if what.isdecimal() else Path(what)
    if not (folder / MANIFEST_FILE).is_file():
        raise BenchmarkError(f"{folder} is no version: it has no {MANIFEST_FILE}")
    return Row(f"version {name}" if name.isdecimal() else name, folder)


def exported_row(name: str, checkpoint: str, precision: Precision, data: Path, folder: Path, report: Report) -> Row:
    """A checkpoint in one precision, exported into `folder`; a row that says why where that fails.

    Args:
        name: of the row.
        checkpoint: folder, or hub id.
        precision: of the graph.
        data: what the export is checked on, and int8 calibrated by.
        folder: to write, as a version folder.
        report: told what is being done.
    """
    report(f"{name}: python -m export --precision {precision.value}")
    given = ["--precision", precision.value, "--output", str(folder), "--data", str(data)]
    # A process of its own: what the export leaves in memory does not slow what is measured here.
    command = [sys.executable, "-m", "export", checkpoint, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Row(name, None, (done.stderr.strip().splitlines() or ["the export failed"])[-1])
    return Row(name, folder)
