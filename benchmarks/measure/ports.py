"""Ports for servers that are started here, in measurements and in tests (standard library only)."""

import socket

# Kept open until this process ends: see `free_ports`.
_HELD: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nobody listens on, all different; no other process is given them while this one runs.

    A port that is only looked up would be given to the next process that asks the kernel for any port, until a server
    listens there seconds later, and then somebody else's server answers. So each stays bound, without listening, by a
    socket of ours. A server may listen beside it that sets SO_REUSEADDR or SO_REUSEPORT, as servers do.
    """
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        each.bind(("127.0.0.1", 0))
    _HELD.extend(held)
    return [int(each.getsockname()[1]) for each in held]
