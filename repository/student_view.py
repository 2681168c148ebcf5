"""Keeps the view through which Triton serves students in line with a model's versions (see `repository.cascade`).

The view holds nothing of its own: a config made of the model's, and a link for each version that has a student. So a
version stays one folder that is there whole or not at all, and publishing, rolling back and pruning know nothing of
students. A link is made after its version is in place and removed before that is taken away, since Triton does not list
a model with a link that leads nowhere.
"""

import logging
from collections.abc import Collection
from pathlib import Path

from repository.cascade import student_model
from repository.manifest import CONFIG_FILE, Manifest, RepositoryError
from repository.names import is_model_name, is_version_name
from repository.staging import delete_whole, new_staging, write_whole

logger = logging.getLogger(__name__)


def update_view(model_folder: Path, leaving: Collection[int] = ()) -> None:
    """Make the view what the model's versions and config say now; the caller holds the model's lock.

    What keeps students from being served is logged and nothing else: the model answers alone then.

    Args:
        model_folder: the model's folder in the repository.
        leaving: versions that are about to be deleted.
    """
    view = model_folder.with_name(student_model(model_folder.name))
    try:
        wanted = _with_student(model_folder, leaving)
        if not wanted and not view.is_symlink() and not view.exists():
            return
        _require_own(view, model_folder)
        text = _config_of(model_folder, wanted) if wanted else None
        if text is None:
            if view.exists():
                delete_whole(view, model_folder)  # its links are removed, not followed
        elif view.exists():
            _change(view, model_folder, wanted, text)
        else:
            _create(view, model_folder, wanted, text)
    except (RepositoryError, OSError) as error:
        logger.warning("No student of %s is served: %s", model_folder.name, error)


def _with_student(model_folder: Path, leaving: Collection[int]) -> set[int]:
    found = set()
    for entry in model_folder.iterdir():
        if not is_version_name(entry.name) or int(entry.name) in leaving:
            continue
        try:
            if Manifest.read(entry).cascade is not None:
                found.add(int(entry.name))
        except RepositoryError:
            continue  # whoever serves the version says so
    return found


def _require_own(view: Path, model_folder: Path) -> None:
    """Raise RepositoryError if the view's name is taken by a model of the user's, or is none."""
    if not is_model_name(view.name):
        raise RepositoryError(f"{view.name} is too long for a model's name")
    if view.is_symlink() or (view.exists() and not view.is_dir()):
        raise RepositoryError(f"{view} is no folder")
    for entry in view.iterdir() if view.exists() else ():
        is_link = entry.is_symlink() and entry.readlink() == _target(model_folder, entry)
        if is_version_name(entry.name) and not is_link:
            raise RepositoryError(f"{view} holds versions of its own: give that model another name")


def _target(model_folder: Path, link: Path) -> Path:
    return Path("..", model_folder.name, link.name)


def _config_of(model_folder: Path, wanted: set[int]) -> str | None:
    """The view's config; None if the model has none yet, or if a version without a student is pinned."""
    from repository.config import pinned_version, student_config  # they need protobuf, which a reader has not

    try:
        text = (model_folder / CONFIG_FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    pinned = pinned_version(text)
    return student_config(text) if pinned is None or pinned in wanted else None


def _create(view: Path, model_folder: Path, wanted: set[int], text: str) -> None:
    staging = new_staging(model_folder)
    (staging / CONFIG_FILE).write_text(text, encoding="utf-8")
    for number in wanted:
        link = staging / str(number)
        link.symlink_to(_target(model_folder, link))  # leads somewhere once it is in the view
    staging.chmod(0o755)  # Triton may run as another user
    staging.rename(view)


def _change(view: Path, model_folder: Path, wanted: set[int], text: str) -> None:
    present = {int(entry.name) for entry in view.iterdir() if is_version_name(entry.name)}
    for number in present - wanted:
        (view / str(number)).unlink()
    config = view / CONFIG_FILE
    if not config.is_file() or config.read_text(encoding="utf-8") != text:
        write_whole(config, text, model_folder)
    for number in wanted - present:
        link = view / str(number)
        link.symlink_to(_target(model_folder, link))
