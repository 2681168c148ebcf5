"""What do running programs take in memory?"""

import contextlib

import psutil


def resident_mb(pid: int) -> float:
    """Resident memory of a process and all below it, in MB; what two of them share counts once (PSS) where told."""
    leader = psutil.Process(pid)
    total = 0
    for member in [leader, *leader.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += member.memory_full_info().pss
    return total / 1e6
