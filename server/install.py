"""Makes the embedded Triton's own environment in `TRITON_ENV`, once: `ensure_installed(settings)`.

The environment is a virtual environment with the packages of `locks/triton.txt` and a folder `backends/` that Triton
is pointed to. It has its own packages because the binary's Python backend was built against NumPy 1. A stamp,
written last, says what it was made from: an interrupted install has none and is made anew, a complete one is
recognized in milliseconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from repository.shipped import TRITON_LOCK
from repository.strict_json import strict_json
from server import preflight
from server.settings import ServerSettings

BACKEND_SOURCES = Path(__file__).parent / "backends" / "onnxruntime"

# Raise this when the way the environment is laid out changes, so that existing ones are made anew.
_LAYOUT = 1

_STAMP = "installed.json"
_MUTEX = ".install.lock"
_MADE_HERE = ("backends", "bin", "include", "lib", "lib64", "libpython", "share", "pyvenv.cfg", _STAMP)

# pip settings from the user's environment that would put the packages somewhere else. Its index stays.
_MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")

Report = Callable[[str], None]


class InstallError(Exception):
    """The environment could not be made; the message says why and what to do."""


@dataclass(frozen=True)
class EmbeddedTriton:
    """Where the parts of an installed embedded Triton are."""

    root: Path
    python_minor: str
    gpu: bool

    @property
    def python(self) -> Path:
        """The environment's interpreter."""
        return self.root / "bin" / "python3"

    @property
    def site_packages(self) -> Path:
        """The environment's packages."""
        return self.root / "lib" / f"python{self.python_minor}" / "site-packages"

    @property
    def binary(self) -> Path:
        """The `tritonserver` binary."""
        return self.site_packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"

    @property
    def libraries(self) -> Path:
        """The shared libraries that came with the binary."""
        return self.site_packages / "nvidia_pytriton.libs"

    @property
    def libpython(self) -> Path:
        """A folder that holds libpython alone, so that nothing else beside it gets into Triton's library path."""
        return self.root / "libpython"

    @property
    def backends(self) -> Path:
        """Triton's `--backend-directory`."""
        return self.root / "backends"


def find_installed(settings: ServerSettings) -> EmbeddedTriton | None:
    """The installed environment if it is complete and made from what lies here now, else None."""
    triton = _find_environment(settings)
    if triton is None or _stamp(triton.root).get("backends") != _backends_digest():
        return None
    return triton


def ensure_installed(settings: ServerSettings, report: Report = lambda _line: None) -> EmbeddedTriton:
    """Returns the environment, made first if need be; `report` is told what is going on, line by line.

    Two processes at once make it once: the second waits for the first. Raises InstallError.
    """
    found = find_installed(settings)
    if found is not None:
        return found
    root = settings.triton_env.absolute()
    with _exclusive(root, report):
        return find_installed(settings) or _install(settings, root, report)


def requirements(gpu: bool, lock: Path = TRITON_LOCK) -> list[str]:
    """The lock file's lines for this kind of machine: the common part, then `# [cpu]` or `# [gpu]`."""
    kept, section = [], ""
    for line in lock.read_text(encoding="utf-8").splitlines():
        if line.startswith("# ["):
            section = line.strip("# []")
        elif line.strip() and not line.startswith("#") and section in ("", "gpu" if gpu else "cpu"):
            kept.append(line.strip())
    return kept


def wants_gpu(settings: ServerSettings) -> bool:
    """Whether ONNX Runtime's CUDA build is to be installed; asks `nvidia-smi` when the setting says auto."""
    if settings.triton_gpu != "auto":
        return settings.triton_gpu == "on"
    if not _has_driver():
        return False
    try:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return False
    return listed.returncode == 0 and "GPU" in listed.stdout


def _install(settings: ServerSettings, root: Path, report: Report) -> EmbeddedTriton:
    started = time.monotonic()
    try:
        python = preflight.interpreter(settings.python())
    except ValueError as error:
        raise InstallError(str(error)) from error
    triton = _find_environment(settings) or _make_environment(settings, root, python, report)
    _make_backends(triton)
    stamp = {
        "environment": _environment_digest(settings, triton.gpu),
        "backends": _backends_digest(),
        "python_minor": triton.python_minor,
        "gpu": triton.gpu,
        "driver": _has_driver(),
        "packages": requirements(triton.gpu),
    }
    unfinished = root / f"{_STAMP}.new"
    unfinished.write_text(strict_json(stamp, indent=2) + "\n")
    unfinished.replace(root / _STAMP)
    report(f"Triton is installed ({time.monotonic() - started:.0f} s)")
    return triton


def _make_environment(
    settings: ServerSettings, root: Path, python: preflight.Interpreter, report: Report
) -> EmbeddedTriton:
    gpu = wants_gpu(settings)
    triton = EmbeddedTriton(root, python.minor, gpu)
    _clear(root)
    report(f"installing Triton for Python {python.minor} in {root}, once ({'2 GB' if gpu else '130 MB'} to download)")
    _run([settings.python(), "-m", "venv", str(root)], report)
    pip = [str(triton.python), "-m", "pip", "install", "--no-deps", "--only-binary", ":all:", "--no-input"]
    _run([*pip, "--disable-pip-version-check", "--progress-bar", "off", *requirements(gpu)], report)
    _link_libpython(triton, python)
    return triton


def _make_backends(triton: EmbeddedTriton) -> None:
    """`backends/python` as Triton wants it, in one folder, and our `backends/onnxruntime` beside it."""
    shipped = triton.site_packages / "pytriton" / "tritonserver"
    stub = shipped / "python_backend_stubs" / triton.python_minor / "triton_python_backend_stub"
    if not stub.is_file():
        raise InstallError(f"this Triton has no Python backend for Python {triton.python_minor}: use 3.11 to 3.13")
    shutil.rmtree(triton.backends, ignore_errors=True)
    python_backend = triton.backends / "python"
    python_backend.mkdir(parents=True)
    backend = shipped / "backends" / "python"
    for source in (backend / "libtriton_python.so", backend / "triton_python_backend_utils.py", stub):
        shutil.copy2(source, python_backend)
    (triton.backends / "onnxruntime").mkdir()
    for source in BACKEND_SOURCES.glob("*.py"):
        shutil.copy2(source, triton.backends / "onnxruntime")


def _link_libpython(triton: EmbeddedTriton, python: preflight.Interpreter) -> None:
    """Puts the interpreter's own libpython where the stub finds it, under the name that the stub asks for.

    The stub for 3.13 asks for the copy in the wheel, whose name carries a hash. The interpreter's takes its place: a
    library and a standard library of one patch version belong together.
    """
    triton.libpython.mkdir()
    library = preflight.find_libpython(python)
    assert library is not None  # it was looked for before anything was installed
    names = [f"libpython{python.minor}.so.1.0", *(p.name for p in triton.libraries.glob("libpython3-*.so.1.0"))]
    for name in names:
        if name.startswith("libpython3.") or f".{python.version[1]}.so" in name:
            (triton.libpython / name).symlink_to(library)


def _find_environment(settings: ServerSettings) -> EmbeddedTriton | None:
    """The environment if its packages are those of the lock file, for this interpreter and this machine."""
    root = settings.triton_env.absolute()
    stamp = _stamp(root)
    gpu = bool(stamp.get("gpu")) if settings.triton_gpu == "auto" else settings.triton_gpu == "on"
    if stamp.get("environment") != _environment_digest(settings, gpu) or stamp.get("driver") != _has_driver():
        return None
    return EmbeddedTriton(root, str(stamp["python_minor"]), gpu)


def _stamp(root: Path) -> dict[str, object]:
    try:
        return dict(json.loads((root / _STAMP).read_text()))
    except (OSError, ValueError):
        return {}


def _environment_digest(settings: ServerSettings, gpu: bool) -> str:
    python = Path(settings.python()).resolve()
    try:
        made = python.stat()  # another version of Python under the same path shows here
    except OSError:
        return ""
    return _sha256([str(_LAYOUT), str(python), str(made.st_size), str(made.st_mtime_ns), *requirements(gpu)])


def _backends_digest() -> str:
    return _sha256(f"{path.name}\n{path.read_text(encoding='utf-8')}" for path in sorted(BACKEND_SOURCES.glob("*.py")))


def _sha256(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _has_driver() -> bool:
    return shutil.which("nvidia-smi") is not None


def _clear(root: Path) -> None:
    """Removes what an earlier install made, and nothing else."""
    for name in _MADE_HERE:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


@contextlib.contextmanager
def _exclusive(root: Path, report: Report) -> Iterator[None]:
    """Lets one process at a time work in `root`; refuses a folder that holds something else."""
    if root.is_dir() and any(root.iterdir()) and not (root / _MUTEX).exists():
        raise InstallError(f"TRITON_ENV is {root}, which holds other files: name a new or empty folder")
    try:
        root.mkdir(parents=True, exist_ok=True)
        mutex = (root / _MUTEX).open("w")
    except OSError as error:
        raise InstallError(f"TRITON_ENV is {root}, which cannot be written to: {error.strerror}") from error
    with mutex:
        try:
            fcntl.flock(mutex, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            report("another process is installing Triton; waiting for it")
            fcntl.flock(mutex, fcntl.LOCK_EX)
        yield


def _run(command: list[str], report: Report) -> None:
    """Runs a command and reports its output; raises InstallError with the last lines when it fails."""
    env = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    lines: list[str] = []
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with process:
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                report(lines[-1])
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        reason = "\n".join(line for line in lines[-8:] if line)
        raise InstallError(f"{' '.join(command[1:4])} failed (is the package index reachable?):\n{reason}")
