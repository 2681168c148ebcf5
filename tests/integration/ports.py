"""Ports for servers that tests start."""

import socket


def free_ports(count: int) -> list[int]:
    """Ports on 127.0.0.1 that nobody listens on at this moment, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for probe in sockets:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in sockets]
    for probe in sockets:
        probe.close()
    return ports
