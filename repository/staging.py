"""Where is a file or a version written until it is whole and can be renamed to its place in a model's folder?

In the model's folder, under a name of digits that begins with a zero. Every other place costs something while Triton
polls (`ModelTimestamp`, `VersionsToLoad`, `PollAndUpdateInternal` in its `src/model_repository_manager`, alike in the
releases 24.10 to 26.06; each seen with 24.10, which is 2.51):

- Triton loads every version again when anything changes in the model's folder whose name has another character than
  digits and is not the config's: a hidden folder, a lock. What is called by digits it takes for the affair of that
  version alone, and for no version where a zero stands before them. It then looks at the model, and loads nothing.
- In the repository, beside the model's folder, each folder is a model to Triton, and one without a config an error at
  each look. Where a name goes away just while it lists them, it unloads every model until its next look.
- Anywhere else may be another file system, from which nothing can be renamed, or a folder of somebody else's.
"""

import contextlib
import errno
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from repository.disk import flush

_DIGITS = 17
_NAME = re.compile(rf"0[0-9]{{{_DIGITS}}}")
OLD_PREFIX = ".staging-"
"""How the folders of programs up to 0.1.0 begin."""
_ABANDONED_S = 3600
"""Age of a file that nobody writes any more. Gateways write theirs without the lock, in a fraction of a second."""


def is_staging(name: str) -> bool:
    """Whether a folder or file of this name is one that is being written, or was when its writer was killed."""
    return _NAME.fullmatch(name) is not None or name.startswith(OLD_PREFIX)


def new_staging(model_folder: Path) -> Path:
    """A new folder to write in, which its maker alone may read."""
    staging = _new_name(model_folder)
    staging.mkdir(mode=0o700)
    return staging


def delete_whole(folder: Path, model_folder: Path) -> None:
    """Delete a folder that Triton reads: renamed away first, so that it is never there by half.

    No folder is made for it: on a full disk there is no room for one, and room is what is to be made.

    Raises:
        OSError: it cannot be renamed, as across file systems.
    """
    trash = _new_name(model_folder)
    folder.rename(trash)
    shutil.rmtree(trash)


@contextlib.contextmanager
def staging_in(model_folder: Path) -> Iterator[Path]:
    """`new_staging` that is removed with what is left in it."""
    staging = new_staging(model_folder)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def remove_leftovers(model_folder: Path) -> None:
    """Remove what killed writers left; the caller holds the model's lock, so that no folder is being written."""
    for path in model_folder.iterdir():
        if not is_staging(path.name):
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED_S:
                    path.unlink()


def write_whole(path: Path, text: str, model_folder: Path, *, durable: bool = True) -> None:
    """Put a file in its place, in the model's folder or beside it, so that a reader finds the old text or the new one.

    Args:
        path: the file.
        text: what is in it then.
        model_folder: where it is written first.
        durable: flushed to the disk, so that a power cut leaves one of the two, too.

    Raises:
        OSError: it cannot be written.
    """
    for aside in (_new_name(model_folder), path.with_suffix(".new")):
        try:
            aside.write_text(text, encoding="utf-8")
            if durable:
                flush(aside)
            aside.rename(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink()
            # The model's folder may be a mount of its own, or another user's: only then in the repository itself.
            if error.errno not in (errno.EXDEV, errno.EACCES, errno.EROFS, errno.ENOENT) or aside.parent == path.parent:
                raise
        else:
            break
    if durable:
        flush(path.parent)


def _new_name(model_folder: Path) -> Path:
    """A path that nothing has yet, for what is not whole, or is on its way out."""
    return model_folder / f"0{secrets.randbelow(10**_DIGITS):0{_DIGITS}d}"
