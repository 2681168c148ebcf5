"""Which repository and which model does a command mean? The options that say it, and what they name."""

from typing import Annotated

import typer
from pydantic import ValidationError

from repository.history import VersionHistory
from repository.manifest import RepositoryError
from repository.places import open_history
from repository.settings import RepositorySettings

Repository = Annotated[
    str | None,
    typer.Option(
        "--repository",
        help="Folder that Triton reads, or s3://bucket/prefix (env MODEL_REPOSITORY, default ./model_repository).",
    ),
]
Model = Annotated[str | None, typer.Option("--model", help="Name of the model (env MODEL_NAME, default classifier).")]


def settings_of(repository: str | None, model: str | None = None, tallies: str | None = None) -> RepositorySettings:
    """The settings, with what the options name in place of the environment's. Raises RepositoryError: a bad one."""
    given = {"model_repository": repository, "model_name": model, "candidate_state": tallies}
    try:
        return RepositorySettings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise RepositoryError(f"{str(first['loc'][0]).replace('_', ' ')}: {first['msg']}") from None


def store_of(repository: str | None, model: str | None) -> VersionHistory:
    """The model that the options, or the environment, name."""
    return open_history(settings_of(repository, model))
