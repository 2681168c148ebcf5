"""An output folder appears whole or not at all, and takes the place of an older one only when it is whole."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from training.report.contents import REPORT_FILE


class OutputError(ValueError):
    """The output can't be written there; the message is one sentence for the person who named it."""


def check_output(folder: Path) -> None:
    """Raise unless a checkpoint can be written at `folder`.

    Raises:
        OutputError: a file stands there, a folder that is no earlier checkpoint, or the place can't be written to.
    """
    if folder.is_dir():
        if any(folder.iterdir()) and not (folder / REPORT_FILE).is_file():
            raise OutputError(
                f"output {folder} holds other things than an earlier checkpoint of this program (it has no "
                f"{REPORT_FILE}); name a new or empty folder."
            )
    elif folder.exists() or folder.is_symlink():
        raise OutputError(f"output {folder} is a file; name a folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder.parent):
            pass
    except OSError as error:
        raise OutputError(f"output {folder}: nothing can be written to {folder.parent} ({error.strerror}).") from None


@contextmanager
def whole_or_nothing(folder: Path, kept: Path | None = None) -> Iterator[Path]:
    """Yield a working folder beside `folder`; what it holds under `checkpoint/` becomes `folder` at the end.

    Left by an exception (Ctrl-C is one), it is deleted and `folder` stays as it was.

    Args:
        folder: of the checkpoint.
        kept: becomes what `folder` was before, in place of what it holds; None: that is deleted.
    """
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".partial", dir=folder.parent))
    try:
        checkpoint = work / "checkpoint"
        checkpoint.mkdir()
        yield work
        _exchange(folder, checkpoint, kept or work / "before", work / "older")
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _exchange(folder: Path, new: Path, before: Path, older: Path) -> None:
    """Let `new` become `folder`, which becomes `before`, which becomes `older`; or leave all three as they were."""
    try:
        if before.exists():
            before.rename(older)
        if folder.exists():
            folder.rename(before)
        new.rename(folder)
    except BaseException:
        if before.exists() and new.exists() and not folder.exists():
            before.rename(folder)
        if older.exists() and not before.exists():
            older.rename(before)
        raise
