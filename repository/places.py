"""Opens a model's versions wherever the settings say they are, and lists the models there."""

from pathlib import Path

from repository.cascade import STUDENT_SUFFIX
from repository.history import VersionHistory
from repository.location import S3Location
from repository.manifest import CONFIG_FILE, RepositoryError
from repository.names import is_model_name
from repository.s3_store import S3Store
from repository.s3_store import model_names as names_in_s3
from repository.settings import LocationSettings, RepositorySettings
from repository.store import ModelStore


def open_history(settings: RepositorySettings) -> VersionHistory:
    """The versions of the model that the settings name. Raises RepositoryError: S3 needs boto3."""
    if isinstance(settings.model_repository, S3Location):
        return S3Store(settings.model_repository, settings.model_name)
    return ModelStore.from_settings(settings)


def model_names(settings: LocationSettings) -> list[str]:
    """Names of the models in the repository, without those that serve the students of others. Blocks.

    Raises:
        RepositoryError: it cannot be read now.
    """
    place = settings.model_repository
    names = names_in_s3(place) if isinstance(place, S3Location) else _names_in(place)
    return [name for name in names if not name.endswith(STUDENT_SUFFIX)]


def _names_in(folder: Path) -> list[str]:
    try:
        found = sorted(path.name for path in folder.iterdir() if (path / CONFIG_FILE).is_file())
    except OSError as error:
        raise RepositoryError(f"{folder} cannot be read: {error.strerror}") from None
    return [name for name in found if is_model_name(name)]
