"""`python -m server`: the embedded Triton from the command line. Every option is an environment variable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar

import typer
from pydantic import ValidationError

from repository.console import Console
from repository.exit_status import USER_MISTAKE
from repository.log_lines import log_to_stderr
from repository.log_queue import queue_output
from repository.settings import setting_mistakes
from repository.spelling import as_called
from server import ports, preflight
from server.install import Report, find_installed
from server.process import Supervisor
from server.settings import ServerSettings
from server.start import StartError, installed, mirror_children, triton_child

Outcome = TypeVar("Outcome")

app = typer.Typer(add_completion=False, no_args_is_help=False, rich_markup_mode=None)
console = Console(stderr=True)


@app.callback(invoke_without_command=True)
def run(context: typer.Context) -> None:
    """Run Triton on the model repository until Ctrl-C.

    Checks the machine, installs Triton's own environment if it is missing (once, about 130 MB), starts it, and
    starts it again whenever it dies. Uses a `tritonserver` on PATH instead where that has its own ONNX Runtime
    backend, as in NVIDIA's images.

    Set by environment variables: MODEL_REPOSITORY (./model_repository), TRITON_HOST (127.0.0.1), TRITON_HTTP_PORT
    (8100), TRITON_GRPC_PORT (8101), TRITON_METRICS_PORT (8102), TRITON_ENV, TRITON_PYTHON, TRITON_GPU,
    TRITON_LOG_VERBOSE and others: docs/reference/settings.md lists them all.
    """
    queue_output()
    log_to_stderr()
    context.obj = _settings()
    if context.invoked_subcommand is None:
        triton = _with_progress(triton_child, context.obj)
        raise typer.Exit(Supervisor([*mirror_children(context.obj), triton]).run())


@app.command()
def install(context: typer.Context) -> None:
    """Install the embedded Triton in TRITON_ENV, or say at once that it is there."""
    embedded = _with_progress(installed, context.obj)
    console.print(f"Triton for Python {embedded.python_minor} is in {embedded.root}")


@app.command()
def check(
    context: typer.Context,
    with_ports: Annotated[bool, typer.Option("--ports", help="Also check that Triton's ports are free.")] = False,
) -> None:
    """Name whatever this machine lacks, one line each; exits with 2 if there is anything."""
    settings: ServerSettings = context.obj
    found = preflight.check_all(settings.triton_python, settings.triton_env)
    if with_ports:
        found += ports.check_ports(settings.triton_host, settings.ports())
    _stop_at(found)
    state = "installed" if find_installed(settings) else as_called("not installed yet (python -m server install)")
    console.print(f"nothing is missing; the embedded Triton is {state}")


def _settings() -> ServerSettings:
    try:
        return ServerSettings()
    except ValidationError as error:
        _stop_at(setting_mistakes(error))
        raise


def _with_progress(step: Callable[[ServerSettings, Report], Outcome], settings: ServerSettings) -> Outcome:
    """Runs a step that may install, and shows what it does: in place on a terminal, line by line elsewhere."""
    try:
        if not console.is_terminal:
            return step(settings, console.print)
        with console.doing("starting") as report:
            return step(settings, report)
    except StartError as error:
        _stop_at(error.findings)
        raise


def _stop_at(findings: Sequence[str]) -> None:
    for finding in findings:
        console.print(finding)
    if findings:
        raise typer.Exit(USER_MISTAKE)


if __name__ == "__main__":
    app(prog_name="python -m server")
