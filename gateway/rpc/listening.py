"""Can callers by gRPC be served here at all? Looked at before anything is started; imports nothing of gRPC."""

import socket
from importlib.util import find_spec

from gateway.settings import GatewaySettings
from repository.addresses import host_and_port

PACKAGES = ("grpc", "google.protobuf")


def require_packages() -> None:
    """Raise ModuleNotFoundError where one of the packages is not installed that the extra `grpc` brings."""
    for package in PACKAGES:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)


def refuse_taken_port(settings: GatewaySettings) -> None:
    """Raise OSError, with the reason in one line, where nobody can listen on the port.

    gRPC itself would share a port with another gateway: several workers listen on one so.
    """
    host, port = settings.gateway_host, settings.grpc_port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        where = host_and_port(host, port or 0)
        raise OSError(f"GRPC_PORT: cannot listen on {where}: {error.strerror or error}; give another port") from None
