"""Where the model repository is and which model in it is meant."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RepositorySettings(BaseSettings):
    """Settings shared by every program that touches the model repository."""

    model_config = SettingsConfigDict(protected_namespaces=(), env_ignore_empty=True)

    model_repository: Path = Field(Path("model_repository"), description="Folder that Triton reads its models from.")
    model_name: str = Field(
        "classifier",
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*$",
        description="Name of the model: its folder in the repository and its name in Triton.",
    )
