"""Which ports are taken, and by whom: `port_in_use` and `check_ports` (standard library only, see preflight)."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

# The product's ports and their defaults; the settings classes of gateway and server declare the same.
DEFAULT_PORTS = {
    "GATEWAY_PORT": 8000,
    "TRITON_HTTP_PORT": 8100,
    "TRITON_GRPC_PORT": 8101,
    "TRITON_METRICS_PORT": 8102,
}

_LISTEN = "0A"  # the state column of /proc/net/tcp


def from_environment() -> dict[str, int]:
    """The ports as the environment variables set them. Raises ValueError for one that is no number."""
    return parse(f"{name}={os.environ.get(name) or default}" for name, default in DEFAULT_PORTS.items())


def parse(pairs: Iterable[str]) -> dict[str, int]:
    """`["TRITON_HTTP_PORT=8100", ...]` as a mapping. Raises ValueError for a pair that is none."""
    found = {}
    for pair in pairs:
        name, _, port = pair.rpartition("=")
        if not port.isdigit() or not 1 <= int(port) <= 65535:
            raise ValueError(f"{pair} names no port: write SETTING=PORT with a port from 1 to 65535")
        found[name or port] = int(port)
    return found


def port_in_use(host: str, port: int) -> bool:
    """True when a server listening on `host:port` would be refused because another one is there already."""
    try:
        _try_to_bind(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return True
        raise
    return False


def check_ports(host: str, wanted: Mapping[str, int]) -> list[str]:
    """One line for each port that cannot be had: the port, the setting to change and, where known, who has it."""
    found = []
    owners: dict[int, str] = {}
    for setting, port in wanted.items():
        if port in owners:
            found.append(f"{setting} and {owners[port]} are both {port}: give one of them another port")
            continue
        owners[port] = setting
        try:
            if port_in_use(host, port):
                found.append(f"port {port} is in use{by_whom(port)}: stop that or set {setting} to another port")
        except OSError as error:
            found.append(f"port {port} ({setting}) cannot be opened on {host}: {error.strerror or error}")
    return found


def _try_to_bind(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        # As servers do: a connection that just ended (TIME_WAIT) does not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)


def by_whom(port: int) -> str:
    """` by process 123 (name)`, as far as /proc lets this user see; else an empty string."""
    for process in _listening(port):
        with contextlib.suppress(OSError):  # it ended meanwhile
            command = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
            return f" by process {process.name} ({' '.join(command[:3]).strip()})"
    return ""


def only_others_listen(port: int, group: int) -> bool:
    """Whether whoever answers at the port is none of this process group; False where /proc does not tell who it is."""
    groups = set()
    for process in _listening(port):
        with contextlib.suppress(ProcessLookupError):
            groups.add(os.getpgid(int(process.name)))
    return bool(groups) and group not in groups


def _listening(port: int) -> Iterator[Path]:
    """The folders in /proc of the processes that listen on the port, as far as this user may see them."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for descriptor in Path("/proc").glob("[0-9]*/fd/*") if sockets else ():
        with contextlib.suppress(OSError):  # closed meanwhile, or another user's
            if str(descriptor.readlink()) in sockets:
                yield descriptor.parent.parent


def _listening_inodes(port: int) -> set[str]:
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = [line.split() for line in Path(table).read_text().splitlines()[1:]]
        except OSError:
            continue
        found |= {row[9] for row in rows if row[3] == _LISTEN and int(row[1].rpartition(":")[2], 16) == port}
    return found
