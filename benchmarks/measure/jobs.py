"""What does a job cost those who ask for single sentences, and how fast is it once nobody does?"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.measure.http_load import closed_loop_for, get_requests
from benchmarks.measure.open_loop import open_loop
from benchmarks.measure.service import Service, running_service

CONNECTIONS = 64
LOAD_S = 10.0
QUIET_S = 3.0
"""After a load, until a job takes all there is."""
ROWS = 200_000
"""Of a job beside a load: more than are answered meanwhile."""
STARTS_S = 60.0

Report = Callable[[str], None]


class JobError(Exception):
    """A job did not do what it was to do; the message says what."""


@dataclass(frozen=True)
class Plan:
    """What is measured."""

    pairs: int
    """Of each measurement."""
    seconds: float
    """Of each half of a pair beside other requests."""
    rows: int
    """Of a job that nobody disturbs."""
    load: float
    """Of the other requests: a share of what 64 connections are answered in a closed loop."""


@dataclass
class Jobs:
    """What a run has found."""

    rate: float = 0.0
    """Other requests a second."""
    without_p99_ms: list[float] = field(default_factory=list)
    with_p99_ms: list[float] = field(default_factory=list)
    without_p50_ms: list[float] = field(default_factory=list)
    with_p50_ms: list[float] = field(default_factory=list)
    beside_rows_per_s: list[float] = field(default_factory=list)
    """Rows of the job, beside that load."""
    alone_rows_per_s: list[float] = field(default_factory=list)
    """Rows of a job while nobody asks."""
    file_rows_per_s: list[float] = field(default_factory=list)
    """The same rows by `python -m gateway.batch`."""

    @property
    def p99_ratio(self) -> float:
        """The median over the pairs of p99 with a job over p99 without."""
        pairs = zip(self.with_p99_ms, self.without_p99_ms, strict=True)
        return statistics.median(job / plain for job, plain in pairs)

    @property
    def alone_ratio(self) -> float:
        """The median over the pairs of a job's pace over that of the command."""
        pairs = zip(self.alone_rows_per_s, self.file_rows_per_s, strict=True)
        return statistics.median(job / command for job, command in pairs)


def measure_jobs(
    published: tuple[Path, str],
    sentences: Sequence[str],
    folder: Path,
    plan: Plan,
    report: Report,
) -> Jobs:
    """Measure, in alternating pairs.

    Args:
        published: repository and name of the model.
        sentences: that are asked.
        folder: for tables and results.
        plan: what is measured.
        report: is told of progress.

    Raises:
        ServiceError: the service did not start.
        JobError: a job failed.
    """
    found = Jobs()
    with running_service(*published, JOBS=str(folder / "jobs"), WORKERS="1", LOG_REQUESTS="false") as service:
        requests = get_requests(f"{service.url}/classify", sentences)
        found.rate = plan.load * closed_loop_for(service.url, requests, CONNECTIONS, LOAD_S).per_second
        report(f"{found.rate:.0f} requests a second, with and without a job")
        for pair in range(plan.pairs):
            for with_job in (False, True) if pair % 2 == 0 else (True, False):
                if with_job:
                    _with_job(service, sentences, requests, plan.seconds, found)
                else:
                    result = open_loop(service.url, requests, found.rate, plan.seconds)
                    found.without_p50_ms.append(result.percentile_ms(0.5))
                    found.without_p99_ms.append(result.percentile_ms(0.99))
            report(f"p99 {found.without_p99_ms[-1]:.1f} ms without, {found.with_p99_ms[-1]:.1f} ms with a job")
        table = folder / "table.jsonl"
        table.write_bytes(_table(sentences, plan.rows))
        for pair in range(plan.pairs):
            for as_job in (False, True) if pair % 2 == 0 else (True, False):
                time.sleep(QUIET_S)
                if as_job:
                    found.alone_rows_per_s.append(_alone(service, table))
                else:
                    found.file_rows_per_s.append(_by_command(service, published, table, plan.rows))
            report(f"{found.alone_rows_per_s[-1]:.0f} rows/s as a job, {found.file_rows_per_s[-1]:.0f} by the command")
    return found


def _with_job(
    service: Service, sentences: Sequence[str], requests: Sequence[bytes], seconds: float, found: Jobs
) -> None:
    with _running_job(service, _table(sentences, ROWS)) as job:
        before = _ask(service, "GET", f"/jobs/{job}")["rows"]["done"]
        result = open_loop(service.url, requests, found.rate, seconds)
        done = _ask(service, "GET", f"/jobs/{job}")["rows"]["done"] - before
    found.with_p50_ms.append(result.percentile_ms(0.5))
    found.with_p99_ms.append(result.percentile_ms(0.99))
    found.beside_rows_per_s.append(done / seconds)


@contextlib.contextmanager
def _running_job(service: Service, table: bytes) -> Iterator[str]:
    job = str(_ask(service, "POST", "/jobs", table)["id"])
    try:
        deadline = time.monotonic() + STARTS_S
        while not _ask(service, "GET", f"/jobs/{job}")["rows"]["done"]:
            if time.monotonic() > deadline:
                raise JobError(f"a job did not begin within {STARTS_S:g} s")
            time.sleep(0.1)
        yield job
    finally:
        _ask(service, "DELETE", f"/jobs/{job}")
        while _ask(service, "GET", f"/jobs/{job}")["finished"] is None:
            time.sleep(0.1)
        _ask(service, "DELETE", f"/jobs/{job}")


def _alone(service: Service, table: Path) -> float:
    """Rows a second of one job, from its first row to its last."""
    job = _ask(service, "POST", "/jobs", table.read_bytes())["id"]
    while (shown := _ask(service, "GET", f"/jobs/{job}"))["finished"] is None:
        time.sleep(0.2)
    _ask(service, "DELETE", f"/jobs/{job}")
    if shown["state"] != "done" or shown["rows"]["failed"]:
        raise JobError(f"a job ended as {shown['state']}: {shown['error']}")
    return float(shown["rows_per_second"])


def _by_command(service: Service, published: tuple[Path, str], table: Path, rows: int) -> float:
    """Rows a second of the command, its start left out: that of an empty table."""
    empty = table.with_name("empty.jsonl")
    empty.write_text('{"text": "one"}\n')
    seconds = {}
    host, _, port = service.triton.removeprefix("http://").partition(":")
    env = {"TRITON_HOST": host, "TRITON_HTTP_PORT": port, "MODEL_REPOSITORY": str(published[0])}
    for source in (empty, table):
        command = [sys.executable, "-m", "gateway.batch", str(source), str(source.with_suffix(".out.jsonl"))]
        start = time.monotonic()
        done = subprocess.run(
            [*command, "--restart"],
            env=_environment(env, published[1]),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise JobError(f"the command failed: {done.stderr[-300:]}")
        seconds[source] = time.monotonic() - start
    return rows / (seconds[table] - seconds[empty])


def _environment(settings: dict[str, str], model_name: str) -> dict[str, str]:
    return {**os.environ, **settings, "MODEL_NAME": model_name}


def _table(sentences: Sequence[str], rows: int) -> bytes:
    lines = [json.dumps({"text": sentence}).encode() + b"\n" for sentence in sentences]
    return b"".join(lines[number % len(lines)] for number in range(rows))


def _ask(service: Service, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(f"{service.url}{path}", body, method=method)
    request.add_header("Content-Type", "application/x-ndjson")
    with urllib.request.urlopen(request, timeout=60) as answer:
        found: dict[str, Any] = json.loads(answer.read() or b"{}")
    return found
