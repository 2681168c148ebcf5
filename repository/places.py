"""Opens a model's versions wherever the settings say they are."""

from repository.history import VersionHistory
from repository.location import S3Location
from repository.s3_store import S3Store
from repository.settings import RepositorySettings
from repository.store import ModelStore


def open_history(settings: RepositorySettings) -> VersionHistory:
    """The versions of the model that the settings name. Raises RepositoryError: S3 needs boto3."""
    if isinstance(settings.model_repository, S3Location):
        return S3Store(settings.model_repository, settings.model_name)
    return ModelStore.from_settings(settings)
