"""NVIDIA's perf_analyzer: found or fetched, run for one load at a time, its CSV read."""

import csv
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from repository.inference import pad_batch
from repository.strict_json import strict_json
from server.install import EmbeddedTriton

WHEEL = "tritonclient==2.50.0"
"""The release whose binary runs on glibc 2.35 and later; the package `perf-analyzer` wants glibc 2.38."""

LIBRARIES = {"libb64.so.0d": "libb64-*.so.0d*", "libcudart.so.12": "libcudart-*.so.12*"}
"""What the binary asks for, and under which name pytriton's wheel has it."""

UNSTABLE_PERCENT = 900
"""perf_analyzer gives up where three windows differ by more than this; here the spread is the reader's to judge."""

WINDOWS = 3
LIMIT_S = 300


class PerfAnalyzerError(RuntimeError):
    """perf_analyzer is not there or failed; the message says why."""


@dataclass(frozen=True)
class Load:
    """What perf_analyzer asks: so many requests at a time, each with `batch_size` sentences of `length` tokens."""

    protocol: str
    concurrency: int
    batch_size: int
    length: int | None
    """None: every sentence at its own length, which only a batch size of 1 allows."""


@dataclass(frozen=True)
class Measured:
    """What perf_analyzer gives for one load; times in milliseconds, those of the server are means."""

    sentences_per_second: float
    p50_ms: float
    p90_ms: float
    p95_ms: float
    p99_ms: float
    queue_ms: float
    compute_input_ms: float
    compute_infer_ms: float
    compute_output_ms: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class PerfAnalyzer:
    """The program, and the folder with the libraries that this machine lacks."""

    binary: Path
    libraries: Path | None = None

    def measure(
        self, load: Load, model: str, version: int, address: str, inputs: Path, window_ms: int, more: Sequence[str] = ()
    ) -> Measured:
        """Run it for one load, three windows long.

        Args:
            load: what is asked.
            model: name of the model in Triton.
            version: version of the model.
            address: host and port of the protocol's endpoint.
            inputs: what `write_inputs` wrote.
            window_ms: length of one window; three are measured, after which the mean is taken.
            more: options passed on as they are.

        Raises:
            PerfAnalyzerError: it failed; the message is the end of what it said.
        """
        with tempfile.TemporaryDirectory(prefix="perf_analyzer-") as folder:
            report = Path(folder, "report.csv")
            command = [
                str(self.binary), "-m", model, "-x", str(version), "-u", address, "-i", load.protocol,
                "-b", str(load.batch_size), "--concurrency-range", str(load.concurrency),
                "--input-data", str(inputs), "-p", str(window_ms), "-r", str(WINDOWS),
                "-s", str(UNSTABLE_PERCENT), "-f", str(report), *more,
            ]  # fmt: skip
            if load.concurrency > 1 and "--sync" not in more:
                command.append("--async")
            try:
                ended = subprocess.run(command, env=self._env(), capture_output=True, text=True, timeout=LIMIT_S)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise PerfAnalyzerError(f"perf_analyzer: {error}") from None
            if ended.returncode != 0 or not report.is_file():
                said = "\n".join((ended.stdout + ended.stderr).strip().splitlines()[-8:])
                raise PerfAnalyzerError(f"perf_analyzer ended with status {ended.returncode}:\n{said}")
            return read_report(report.read_text())

    def _env(self) -> dict[str, str]:
        if self.libraries is None:
            return dict(os.environ)
        return {**os.environ, "LD_LIBRARY_PATH": str(self.libraries)}


def read_report(text: str) -> Measured:
    """The one row of perf_analyzer's CSV; its times are in microseconds.

    Raises:
        PerfAnalyzerError: there is no row, or it has other columns.
    """
    rows = list(csv.DictReader(text.splitlines()))
    try:
        row = {name: float(value) for name, value in rows[-1].items() if name and value}
        return Measured(
            sentences_per_second=row["Inferences/Second"],
            **{f"p{share}_ms": row[f"p{share} latency"] / 1000 for share in (50, 90, 95, 99)},
            queue_ms=row["Server Queue"] / 1000,
            compute_input_ms=row["Server Compute Input"] / 1000,
            compute_infer_ms=row["Server Compute Infer"] / 1000,
            compute_output_ms=row["Server Compute Output"] / 1000,
        )
    except (IndexError, KeyError, ValueError) as error:
        raise PerfAnalyzerError(f"perf_analyzer's CSV is not as expected ({error!r}): {text[:200]}") from None


def write_inputs(path: Path, ids: Sequence[Sequence[int]], pad_token_id: int, length: int | None) -> None:
    """Tokenized sentences as `--input-data` reads them, cut and padded to `length` tokens if that is given.

    perf_analyzer's own random ids fall outside most vocabularies.
    """
    rows = []
    for row in ids:
        inputs = pad_batch([row[:length]], pad_token_id, length)
        rows.append({name: {"content": array[0].tolist(), "shape": [array.shape[1]]} for name, array in inputs.items()})
    path.write_text(strict_json({"data": rows}))


def find_perf_analyzer(folder: Path, triton: EmbeddedTriton) -> PerfAnalyzer:
    """The one on PATH, else the one in `folder`, where it is fetched from PyPI the first time (14 MB).

    Raises:
        PerfAnalyzerError: it cannot be fetched.
    """
    if found := shutil.which("perf_analyzer"):
        return PerfAnalyzer(Path(found))
    binary = folder / "perf_analyzer"
    if not binary.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _fetch(binary)
    libraries = folder / "libraries"
    libraries.mkdir(exist_ok=True)
    for name, pattern in LIBRARIES.items():
        link = libraries / name
        link.unlink(missing_ok=True)
        link.symlink_to(next(triton.libraries.glob(pattern)).resolve())
    return PerfAnalyzer(binary, libraries)


def _fetch(binary: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=binary.parent) as scratch:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        ended = subprocess.run([*command, "--dest", scratch, WHEEL], capture_output=True, text=True)
        if ended.returncode != 0:
            raise PerfAnalyzerError(f"{WHEEL}, which carries perf_analyzer, cannot be fetched: {ended.stderr[-300:]}")
        with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
            member = next(name for name in wheel.namelist() if name.endswith("/bin/perf_analyzer"))
            fetched = Path(wheel.extract(member, scratch))
        fetched.chmod(0o755)
        fetched.rename(binary)
