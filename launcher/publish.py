"""`python -m launcher.publish`: trains, exports and publishes a model if none is published yet, and starts nothing.

For a machine or container that prepares what others serve.
"""

from typing import Annotated

import typer
from pydantic import ValidationError

from launcher.model import StepFailedError, ensure_published, publish_another
from launcher.settings import LauncherSettings
from launcher.steps import end_as_by_ctrl_c
from repository.console import Console
from repository.exit_status import USER_MISTAKE, fail
from repository.manifest import RepositoryError
from repository.settings import RepositorySettings, setting_mistakes

app = typer.Typer(pretty_exceptions_enable=False)
out = Console()
errors = Console(stderr=True)


@app.command()
def publish(
    again: Annotated[
        bool, typer.Option("--again", help="Publish one more version, from CHECKPOINT if that is there.")
    ] = False,
) -> None:
    """Publish a model if none is published yet. Settings (docs/reference/settings.md) are environment variables."""
    end_as_by_ctrl_c()
    try:
        launcher, repository = LauncherSettings(), RepositorySettings()
        number = (publish_another if again else ensure_published)(launcher, repository)
    except ValidationError as error:
        for mistake in setting_mistakes(error):
            errors.error(mistake)
        raise typer.Exit(USER_MISTAKE) from None
    except (StepFailedError, RepositoryError) as error:
        fail(error)
    out.print(f"Version {number} of {repository.model_name} is published in {repository.model_repository}.")


if __name__ == "__main__":
    app(prog_name="python -m launcher.publish")
