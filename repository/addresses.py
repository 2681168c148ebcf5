"""How a host is given in a setting, and how it is written with its port: all that is known of IPv6 brackets."""

import ipaddress
import socket
from typing import Annotated

from pydantic import AfterValidator

_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def bare_host(given: str) -> str:
    """A host without the blanks and brackets that it was given with: `::1` for ` [::1] `.

    Raises:
        ValueError: it is empty, or more than a host.
    """
    host = given.strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not host or any(character.isspace() or character in "/[]@" for character in host):
        raise ValueError(f"{given!r} is no host: give a name or an IP address, without http:// and without a port")
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            raise ValueError(f"{given!r} is no host: the port has a setting of its own") from None
    return host


Host = Annotated[str, AfterValidator(bare_host)]
"""Type of a setting that names a host."""


def host_and_port(host: str, port: int) -> str:
    """As in a URL or the header Host: `name:80`, `[::1]:80`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def url_of(host: str, port: int) -> str:
    """Where a client on this machine finds a server that listens on `host`."""
    return f"http://{host_and_port(reachable(host), port)}"


def reachable(host: str) -> str:
    """An address that a client on this machine can use for a server that listens on `host`."""
    return _ANY.get(host, host)


def numeric(host: str) -> str:
    """The first IP address of a host. Raises OSError if there is none."""
    return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
