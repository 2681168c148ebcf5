"""`python -m gateway`: the HTTP front of a classifier in Triton; `verify` checks the receipts that it signs."""

import os
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError

from gateway.files import version_files
from gateway.logs import configure_logging
from gateway.receipts.commands import receipt_key, verify
from gateway.receipts.errors import KeyFileError
from gateway.receipts.keys import read_signing_key
from gateway.settings import GatewaySettings
from repository.console import Console
from repository.exit_status import USER_MISTAKE
from repository.manifest import RepositoryError
from repository.missing import extra_named
from repository.settings import setting_mistakes

SHUTDOWN_S = 10

cli = typer.Typer(pretty_exceptions_enable=False, rich_markup_mode=None)
errors = Console(stderr=True)


@cli.callback(invoke_without_command=True)
def serve(
    context: typer.Context,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on (env GATEWAY_HOST, default 127.0.0.1).")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (env GATEWAY_PORT, default 8000).")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port (env WORKERS, default 1).")] = None,
) -> None:
    """Serve /classify for the model that Triton serves.

    Every setting is an environment variable; docs/reference/settings.md lists them. Triton may start later or go
    away: until it serves a version, requests get 503.
    """
    if context.invoked_subcommand is not None:
        return
    given = {"gateway_host": host, "gateway_port": port, "workers": workers}
    for name, value in given.items():
        if value is not None:
            os.environ[name.upper()] = str(value)  # for the workers, which read the settings for themselves
    try:
        settings = GatewaySettings()
    except ValidationError as error:
        errors.error(setting_mistakes(error)[0])
        raise typer.Exit(USER_MISTAKE) from None
    try:
        version_files(settings)
    except RepositoryError as error:
        errors.error(f"MODEL_REPOSITORY: {error}")
        raise typer.Exit(USER_MISTAKE) from None
    if settings.feedback is not None:
        _require_feedback(settings)
    if settings.jobs is not None:
        _require_jobs(settings.jobs)
    if settings.grpc_port is not None:
        _require_grpc(settings)
    try:
        if settings.receipt_key is not None:
            read_signing_key(settings.receipt_key)
    except KeyFileError as error:
        errors.error(f"RECEIPT_KEY: {error}")
        raise typer.Exit(USER_MISTAKE) from None
    configure_logging()
    if settings.workers == 1:
        _run(settings)
        return
    with tempfile.TemporaryDirectory(prefix="gateway-metrics-") as shared:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared  # read by prometheus_client when it is imported
        _run(settings)


def _require_feedback(settings: GatewaySettings) -> None:
    from gateway.feedback.place import require_place

    try:
        require_place(settings)
    except RepositoryError as error:
        errors.error(f"FEEDBACK: {error}")
        raise typer.Exit(USER_MISTAKE) from None


def _require_jobs(folder: Path) -> None:
    from gateway.jobs.store import JobStore

    try:
        JobStore(folder, 1, 1)
    except OSError as error:
        errors.error(f"JOBS: {folder} cannot be written to ({error.strerror}): name another folder")
        raise typer.Exit(USER_MISTAKE) from None


def _require_grpc(settings: GatewaySettings) -> None:
    from gateway.rpc.listening import refuse_taken_port, require_packages

    with extra_named("grpc"):
        require_packages()
    try:
        refuse_taken_port(settings)
    except OSError as error:
        errors.error(str(error))
        raise typer.Exit(USER_MISTAKE) from None


cli.command("verify")(verify)
cli.command("receipt-key")(receipt_key)


def _run(settings: GatewaySettings) -> None:
    uvicorn.run(
        "gateway.app:application",
        factory=True,
        host=settings.gateway_host,
        port=settings.gateway_port,
        workers=settings.workers,
        http="gateway.protocol:GatewayProtocol",
        loop="uvloop",
        ws="none",
        access_log=False,
        log_config=None,  # uvicorn's own would write past the queue
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )


if __name__ == "__main__":
    cli(prog_name="python -m gateway")
