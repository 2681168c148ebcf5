"""Which files in /dev/shm belong to which run of Triton, so that no run leaves any behind.

Triton's Python backend hands requests to its stubs through files in /dev/shm and forgets them when it is killed.
Each run therefore gets a prefix of its own, which says who made it: the supervisor's process, when that started, and
the process namespace (another container may share /dev/shm and have the same process numbers).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

_FOLDER = Path("/dev/shm")
_MARK = "text-classifier-triton"


def new_prefix() -> str:
    """A prefix for one run of this process; also removes what runs left behind whose process is gone."""
    remove_stale()
    pid = os.getpid()
    return f"{_MARK}.{_namespace()}.{pid}.{_start_time(pid)}.{secrets.token_hex(4)}."


def remove(prefix: str) -> int:
    """Removes the files of one run, after its processes are gone; returns how many there were."""
    return sum(_unlink(path) for path in _FOLDER.glob(f"{prefix}*"))


def remove_stale() -> int:
    """Removes the files of runs of this machine (and this process namespace) whose supervisor is gone."""
    count = 0
    for path in _FOLDER.glob(f"{_MARK}.*"):
        _, namespace, pid, started, *_ = [*path.name.split("."), "", "", ""]
        if namespace == _namespace() and pid.isdigit() and _start_time(int(pid)) != started:
            count += _unlink(path)
    return count


def _unlink(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False  # another user's, or gone meanwhile
    return True


def _namespace() -> str:
    return Path("/proc/self/ns/pid").readlink().name.strip("pid:[]")


def _start_time(pid: int) -> str:
    """When the process started, in clock ticks since boot (field 22 of /proc/PID/stat); empty when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # the name before it may hold blanks and parentheses
