"""After a kill, how long until a sentence is answered again?"""

import contextlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from urllib.parse import quote

import psutil

from benchmarks.measure.service import Service, ServiceError
from benchmarks.measure.soak.memory import part_of

KILLED = ("Triton", "gateway")
LATEST_S = 120.0
"""What does not answer by then is not going to."""
POLL_S = 0.05
ASK_S = 2.0
"""An answer that takes longer is not waited for, but asked for again: its request may have gone down with Triton."""
DEAD_S = 10.0


def recoveries(service: Service, sentence: str, kills: int, report: Callable[[str], None]) -> Iterator[float]:
    """Kill Triton, then the gateway, so many times each (SIGKILL); yield after each how many seconds it took.

    Args:
        service: runs, and is asked by nobody else.
        sentence: that is asked until it is answered.
        kills: of each of the two.
        report: is told of each.

    Raises:
        ServiceError: no answer came.
    """
    for turn in range(kills):
        for part in KILLED:
            taken_s = _recovery(service, part, f"{service.url}/classify?sentence={quote(sentence)}")
            report(f"kill {turn + 1} of {kills}: answered {taken_s:.1f} s after {part} was killed")
            yield taken_s


def _recovery(service: Service, part: str, url: str) -> float:
    launcher = psutil.Process(service.pid)
    running = [process for process in launcher.children(recursive=True) if _is(process, part)]
    if not running:
        raise ServiceError(f"{part} does not run, and cannot be killed")
    start = time.monotonic()
    for process in running:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(running, timeout=DEAD_S)
    while not _answers(url):
        if time.monotonic() - start > LATEST_S:
            raise ServiceError(f"no sentence was answered within {LATEST_S:g} s of the kill of {part}")
        time.sleep(POLL_S)
    return time.monotonic() - start


def _is(process: psutil.Process, part: str) -> bool:
    try:
        return part_of(process.cmdline()) == part
    except psutil.Error:
        return False


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ASK_S) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
