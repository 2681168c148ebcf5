"""A version's files in a folder of their own, where they can be added to without touching what is published."""

import os
import shutil
from pathlib import Path

from repository.history import VersionHistory
from repository.manifest import Manifest
from repository.s3_store import S3Store
from repository.store import ModelStore


def copy_published(history: VersionHistory, number: int, target: Path) -> None:
    """Bring a published version into the empty folder `target`.

    Raises:
        RepositoryError: there is no such version, or a file is not the one that its manifest describes.
    """
    if isinstance(history, S3Store):
        history.fetch(number, target)
        return
    assert isinstance(history, ModelStore)
    history.verify(number)
    copy_folder(history.folder / str(number), target)


def copy_folder(source: Path, target: Path) -> None:
    """Bring the files that a version's manifest lists, and the manifest, into the empty folder `target`.

    A graph of gigabytes is not copied where a second name for the same file does; nothing here writes to one.
    """
    manifest = Manifest.read(source)
    for name in manifest.files:
        try:
            os.link(source / name, target / name)
        except OSError:  # another file system, or one that has no such links
            shutil.copyfile(source / name, target / name)
    manifest.write(target)
