"""`python -m launcher` (`make up`): publishes a model if there is none, then runs Triton and the gateway."""

import http.client
import os
import sys
import urllib.parse
from collections.abc import Mapping
from types import MappingProxyType
from typing import NoReturn

import typer
from pydantic import ValidationError

from gateway.settings import GatewaySettings
from launcher.card import card_variables
from launcher.model import StepFailedError, ensure_published
from launcher.runtime import runtime_variables
from launcher.settings import LauncherSettings
from launcher.steps import end_as_by_ctrl_c
from repository.addresses import host_and_port, reachable, url_of
from repository.console import Console
from repository.exit_status import USER_MISTAKE
from repository.log_lines import log_to_stderr
from repository.log_queue import queue_output
from repository.manifest import RepositoryError
from repository.settings import setting_mistakes
from server import ports
from server.process import ChildSpec, Supervisor
from server.settings import ServerSettings
from server.start import StartError, mirror_children, triton_child

EXAMPLE = "Mapa aprende un nuevo lenguaje"

app = typer.Typer(pretty_exceptions_enable=False)
console = Console(stderr=True)


@app.command()
def up() -> None:
    """Bring the service up: train, export and publish if nothing is published yet, then Triton and the gateway.

    The first start takes some minutes: Triton is installed (once, about 130 MB), and without a CHECKPOINT the sample
    data are trained on. What is published and installed by then, the next start finds. Ctrl-C stops both processes.

    Set by environment variables: CHECKPOINT (checkpoints/classifier), DATA, PRECISION (auto), MODEL_REPOSITORY
    (model_repository), GATEWAY_HOST (127.0.0.1), GATEWAY_PORT (8000), TRITON_HTTP_PORT (8100), TRITON_GRPC_PORT (8101),
    TRITON_METRICS_PORT (8102), TRITON_ENV and others: docs/reference/settings.md lists them all.
    """
    queue_output()
    log_to_stderr()
    end_as_by_ctrl_c()
    try:
        server, gateway, launcher = ServerSettings(), GatewaySettings(), LauncherSettings()
    except ValidationError as error:
        _stop(*setting_mistakes(error))
    # Before anything long starts; the supervised programs check again for themselves.
    wanted = {"GATEWAY_PORT": gateway.gateway_port, "GRPC_PORT": gateway.grpc_port}
    given = {name: port for name, port in wanted.items() if port is not None}
    taken = ports.check_ports(gateway.gateway_host, given)
    taken += ports.check_ports(server.triton_host, server.ports())
    if taken:
        _stop(*taken)
    gateway = gateway.for_model(gateway.named_models()[0])
    try:
        number = ensure_published(launcher, gateway)
        triton = triton_child(server, report=console.print)
    except StartError as error:
        _stop(*error.findings)
    except (StepFailedError, RepositoryError) as error:
        _stop(str(error))
    console.print(f"Serving {gateway.model_name}, version {number}.")
    variables, line = card_variables(server, gateway, os.environ)
    if line:
        console.print(line)
    variables |= runtime_variables(triton, server, os.environ)
    children = [*mirror_children(server), triton, gateway_child(gateway, variables)]
    raise typer.Exit(Supervisor(children, on_ready=lambda: _announce(gateway)).run())


def gateway_child(settings: GatewaySettings, variables: Mapping[str, str] = MappingProxyType({})) -> ChildSpec:
    """The gateway as a child for the supervisor; it reads its settings from the same environment, and `variables`."""
    return ChildSpec(
        name="gateway",
        argv=[sys.executable, "-m", "gateway"],
        env={**os.environ, **variables},
        grace_s=15.0,
        is_ready=lambda: _is_ready(settings),
        ready_message=f"ready at {_url(settings)}",
        port=settings.gateway_port,
        never_waits=True,
    )


def _is_ready(settings: GatewaySettings) -> bool:
    connection = http.client.HTTPConnection(reachable(settings.gateway_host), settings.gateway_port, timeout=1)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _announce(settings: GatewaySettings) -> None:
    url = _url(settings)
    console.print()
    console.print(f"  Try it:   {url}/classify?sentence={urllib.parse.quote(EXAMPLE)}")
    console.print(f"  All of it: {url}/docs")
    console.print(f'  curl:     curl -G {url}/classify --data-urlencode "sentence={EXAMPLE}"')
    if settings.grpc_port is not None:
        console.print(f"  gRPC:     {host_and_port(reachable(settings.gateway_host), settings.grpc_port)}")
    console.print("  Ctrl-C stops Triton and the gateway.")
    console.print()


def _url(settings: GatewaySettings) -> str:
    return url_of(settings.gateway_host, settings.gateway_port)


def _stop(*reasons: str) -> NoReturn:
    for reason in reasons:
        console.error(reason)
    raise typer.Exit(USER_MISTAKE)


def main() -> None:
    """Run the command line."""
    app(prog_name="python -m launcher")


if __name__ == "__main__":
    main()
