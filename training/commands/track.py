"""`python -m training track`: logs a checkpoint in MLflow, or which version it has become."""

from typing import Annotated

import typer

from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, fail
from training.commands import options
from training.tracking.log import TrackedRun, TrackingError, not_tracked, tracking_uri, without_password

errors = Console(stderr=True)


def track_checkpoint(
    checkpoint: options.Checkpoint,
    version: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL/NUMBER",
            help="Note in the run that the checkpoint was logged as which version it was published as.",
            show_default="log the checkpoint as a new run",
        ),
    ] = None,
) -> None:
    """Log a checkpoint in MLflow: parameters, figures by epoch, those of validation and test, its report and weights.

    `train --track` does it at once; this is for a checkpoint whose run is missing, as when the server was down. Runs go
    to MLFLOW_TRACKING_URI, or to mlflow.db and mlartifacts/ in the working folder; MLFLOW_EXPERIMENT_NAME names the
    experiment. `pip install '.[track]'` is needed.

    Exit status: 0 done, 1 MLflow is not there or refuses (one line says why), 2 there is no such checkpoint,
    130 interrupted.
    """
    from training.report.contents import REPORT_FILE
    from training.tracking.mlflow_run import log_checkpoint, log_version

    if not (checkpoint / REPORT_FILE).is_file():
        fail(f"{checkpoint} is no checkpoint of this program: it has no {REPORT_FILE}.")
    try:
        if version is not None:
            run = TrackedRun.read(checkpoint)
            log_version(run, version)
            Console().print(f"Run {run.run_id} of MLflow is version {version}.")
            return
        with errors.doing("Logging to MLflow…"):
            run = log_checkpoint(checkpoint, tracking_uri())
            run.write(checkpoint)
    except (TrackingError, OSError) as error:
        line = not_tracked(str(error), checkpoint)
        errors.print(line if version is None else f"Warning: the run was not told of version {version}: {error}.")
        raise typer.Exit(FAILED) from None
    except KeyboardInterrupt:
        errors.print("Interrupted: the checkpoint is as it was.")
        raise typer.Exit(INTERRUPTED) from None
    address = f"models:/{run.model_id}" if run.model_id else f"runs:/{run.run_id}/model"
    Console().print(f"Tracked: run {run.run_id} in {without_password(run.uri)}, its model {address}")
