"""Which version folder is meant: a path, or a number (none: the newest) of the model that the environment names."""

from pathlib import Path

from pydantic import ValidationError

from export import ExportError
from repository.manifest import RepositoryError
from repository.settings import RepositorySettings, setting_mistakes
from repository.store import ModelStore


def find_version(given: str | None) -> Path:
    """The folder of a version.

    Args:
        given: folder, version number in MODEL_REPOSITORY/MODEL_NAME, or None for the newest version there.

    Raises:
        ExportError: there is no such folder or version.
    """
    if given is not None and not (given.isascii() and given.isdecimal()):
        folder = Path(given)
        if not folder.is_dir():
            raise ExportError(f"{given} is neither a version folder nor a version number")
        return folder
    try:
        store = ModelStore.from_settings(RepositorySettings())
    except ValidationError as error:
        raise ExportError(setting_mistakes(error)[0]) from None
    except RepositoryError as error:
        raise ExportError(str(error)) from None
    numbers = store.numbers()
    if not numbers:
        raise ExportError(f"{store.folder} holds no version: publish one, or give a version folder")
    number = numbers[-1] if given is None else int(given)
    if number not in numbers:
        known = ", ".join(map(str, numbers))
        raise ExportError(f"version {number} of {store.model_name} does not exist: {store.folder} holds {known}")
    return store.folder / str(number)
