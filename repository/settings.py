"""Where the model repository is and which model in it is meant."""

from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from repository.location import RepositoryLocation, S3Location
from repository.names import MODEL_NAME


class LocationSettings(BaseSettings):
    """Where models are, for every program that reads or writes them."""

    model_config = SettingsConfigDict(protected_namespaces=(), env_ignore_empty=True)

    model_repository: RepositoryLocation = Field(
        Path("model_repository"),
        description="Folder that Triton reads its models from, or `s3://bucket/prefix`; other S3 servers: "
        "`s3://host:port/bucket/prefix`.",
    )
    model_cache: Path = Field(
        Path(".model_cache"), description="Folder that keeps what was read from an S3 repository."
    )
    repository_poll_seconds: float = Field(
        5, gt=0, description="How often an S3 repository is looked at for new versions, in seconds."
    )

    def local_copy(self, reader: str) -> Path:
        """The folder that `reader` (Triton or the gateway) reads: the repository, or its own copy of one in S3."""
        if isinstance(self.model_repository, S3Location):
            place = self.model_repository
            host = (place.endpoint or "aws").rpartition("/")[2].replace(":", "-")
            return self.model_cache / reader / host / place.bucket / place.prefix
        return self.model_repository


class RepositorySettings(LocationSettings):
    """Settings shared by every program that works with one model."""

    model_name: str = Field(
        "classifier",
        pattern=MODEL_NAME,
        description="Name of the model: its folder in the repository and its name in Triton.",
    )
    candidate_state: RepositoryLocation | None = Field(
        None,
        description="Folder, or `s3://bucket/prefix`, where gateways keep what they have counted of a candidate, for "
        "all of them to add up; the repository when empty. Needed where gateways may only read that.",
    )

    @property
    def tally_location(self) -> Path | S3Location:
        """Where what was counted of a candidate lies."""
        return self.model_repository if self.candidate_state is None else self.candidate_state


def setting_mistakes(error: ValidationError) -> list[str]:
    """What is wrong with settings, a line each, under the name of the environment variable."""
    return [
        f"{'.'.join(map(str, each['loc'])).upper() or 'settings'}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors()
    ]
