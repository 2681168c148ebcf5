"""`python -m gateway`: the HTTP front of a classifier in Triton."""

import logging
from typing import Annotated

import typer
import uvicorn
from pydantic import ValidationError

from gateway.app import create_app
from gateway.protocol import server_options
from gateway.settings import GatewaySettings

app = typer.Typer(pretty_exceptions_enable=False)


@app.command()
def serve(
    host: Annotated[
        str | None, typer.Option(help="Address to listen on [env GATEWAY_HOST, default 127.0.0.1].")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on [env GATEWAY_PORT, default 8000].")] = None,
) -> None:
    """Serve GET /classify for the model that Triton serves.

    Every setting is an environment variable; the README lists them. Triton may start later or go away: until it
    serves a version, requests get 503.
    """
    given = {"gateway_host": host, "gateway_port": port}
    try:
        settings = GatewaySettings(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        typer.echo(f"Error: {str(first['loc'][0]).upper()}: {first['msg']}", err=True)
        raise typer.Exit(2) from None
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvicorn.run(
        create_app(settings),
        host=settings.gateway_host,
        port=settings.gateway_port,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=10,
        **server_options(),
    )


if __name__ == "__main__":
    app(prog_name="python -m gateway")
