"""What this machine lacks for the embedded Triton, with the package that brings it, before anything long starts.

Standard library only, and importable by an old system Python, because it runs before anything is installed:
`python3 -m server.preflight` prints every finding, one line each, and exits with status 2 if there is one.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from repository.names import visible
from repository.shipped import triton_environment
from server import ports

# Those that the project itself runs on, and of them those for which the Triton wheel has a Python backend.
PROJECT_PYTHONS = ((3, 11), (3, 14))
SUPPORTED_PYTHONS = ("3.11", "3.12", "3.13")

# The machines that the Triton wheel is built for, and what the loader's cache calls them.
MACHINES = {"x86_64": "x86-64", "aarch64": "AArch64"}

# The wheel of nvidia-pytriton 0.7.0 is tagged manylinux_2_35; pip refuses it on anything older.
OLDEST_GLIBC = (2, 35)

# What tritonserver, its Python backend and the stub want (readelf -d) and the wheel does not bring.
SYSTEM_LIBRARIES = {"libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc-s1", "libz.so.1": "zlib1g"}

# The newest C++ symbols in the binaries (objdump -T); GCC 12 brought them.
_NEWEST_CXX_SYMBOL = b"GLIBCXX_3.4.30"

# Measured: the environment holds 0.34 GB, pip's download and unpacking need about as much beside it for a moment.
NEEDED_DISK_BYTES = 800_000_000

# A Python backend instance starts with 1 MB of shared memory and grows with its requests.
NEEDED_SHM_BYTES = 32_000_000

_PROBE = """
import importlib.util as u, json, sys, sysconfig
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "executable": sys.executable,
    "prefix": sys.base_prefix,
    "libdir": sysconfig.get_config_var("LIBDIR") or "",
    "multiarch": sysconfig.get_config_var("MULTIARCH") or "",
    "implementation": sys.implementation.name,
    "missing": [m for m in ("venv", "ensurepip") if u.find_spec(m) is None],
}))
"""


class Interpreter:
    """The facts about a Python interpreter that decide whether Triton's Python backend can embed it."""

    def __init__(self, facts: Mapping[str, object]) -> None:
        self.version: tuple[int, ...] = tuple(facts["version"])  # type: ignore[arg-type]
        self.minor = f"{self.version[0]}.{self.version[1]}"
        self.executable = str(facts["executable"])
        self.prefix = Path(str(facts["prefix"]))
        self.libdir = Path(str(facts["libdir"]))
        self.multiarch = str(facts["multiarch"])
        self.implementation = str(facts["implementation"])
        self.missing_modules: list[str] = list(facts["missing"])  # type: ignore[call-overload]


def interpreter(python: str | os.PathLike[str] | None = None) -> Interpreter:
    """Asks an interpreter (default: the one running) about itself. Raises ValueError when it does not answer."""
    command = [os.fspath(python or sys.executable), "-I", "-c", _PROBE]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
        return Interpreter(json.loads(answer))
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ValueError(f"{command[0]} is not a working Python interpreter (TRITON_PYTHON): {error}") from error


def find_library(soname: str, folders: Iterable[Path] = ()) -> Path | None:
    """The file behind a shared library's name: in `folders` first, then where the dynamic loader looks."""
    machine = platform.machine()
    searched = [Path(p) for p in os.environ.get("LD_LIBRARY_PATH", "").split(":") if p]
    standard = (f"/lib/{machine}-linux-gnu", f"/usr/lib/{machine}-linux-gnu", "/lib64", "/usr/lib64", "/usr/local/lib")
    for folder in [*folders, *searched]:
        if (folder / soname).is_file():
            return folder / soname
    for line in _loader_cache():
        name, _, path = line.partition(" => ")
        if name.split(" ")[0] == soname and MACHINES.get(machine, machine) in name:
            return Path(path)
    return next((Path(f) / soname for f in standard if (Path(f) / soname).is_file()), None)


def find_libpython(python: Interpreter) -> Path | None:
    """`libpython3.X.so.1.0` for this interpreter: its own if built with one, else the system's of that version."""
    folders = [python.libdir / python.multiarch, python.libdir, python.prefix / "lib"]
    return find_library(f"libpython{python.minor}.so.1.0", folders)


def check_platform() -> list[str]:
    """Linux on x86_64 or aarch64 with a new enough glibc: the platforms that the Triton wheel is built for."""
    if platform.system() != "Linux" or platform.machine() not in MACHINES:
        where = f"{platform.system()} on {platform.machine()}"
        wanted = f"Linux on {' or '.join(MACHINES)}"
        return [f"the embedded Triton runs on {wanted} only, this is {where}: use Docker (docker compose up)"]
    try:
        glibc = (os.confstr("CS_GNU_LIBC_VERSION") or "").split()[1]
    except (ValueError, IndexError):
        return ["the embedded Triton needs glibc, and this system has another C library (Alpine?): use Docker"]
    if tuple(int(part) for part in glibc.split(".")[:2]) < OLDEST_GLIBC:
        return [
            f"glibc {glibc} is too old, {_dotted(OLDEST_GLIBC)} is needed: Debian 12, Ubuntu 22.04 or newer, or Docker"
        ]
    return []


def check_own_python(version: tuple[int, ...] = sys.version_info[:2]) -> list[str]:
    """A version of Python that the project itself runs on; `version` is the one that runs this."""
    oldest, newest = PROJECT_PYTHONS
    if oldest <= version <= newest:
        return []
    wanted = f"CPython {_dotted(oldest)} to {_dotted(newest)}"
    return [f"Python {_dotted(version)} ({sys.executable}) is not supported: use {wanted} (make PYTHON=python3.13)"]


def check_python(python: Interpreter) -> list[str]:
    """One that Triton has a Python backend for, with venv and ensurepip, and the shared library that its stub loads."""
    if python.implementation != "cpython" or python.minor not in SUPPORTED_PYTHONS:
        what = f"{python.implementation} {python.minor} ({python.executable})"
        wanted = "TRITON_PYTHON has to name a CPython 3.11, 3.12 or 3.13"
        return [f"the embedded Triton has no Python backend for {what}: {wanted}"]
    found = []
    if python.missing_modules:
        missing = " and ".join(python.missing_modules)
        found.append(f"Python {python.minor} has no {missing}: {_install(f'python{python.minor}-venv')}")
    # For 3.13 the wheel brings a libpython, of one patch release: the modules of another want symbols that it lacks.
    if find_libpython(python) is None:
        advice = _install(f"libpython{python.minor}")
        found.append(f"libpython{python.minor}.so.1.0, which Triton's Python backend loads, is missing: {advice}")
    return found


def check_libraries() -> list[str]:
    """The shared libraries that the wheel expects of the system."""
    found = []
    for soname, package in SYSTEM_LIBRARIES.items():
        path = find_library(soname)
        if path is None and not _loadable(soname):
            found.append(f"{soname}, which Triton loads, is missing: {_install(package)}")
        elif path is not None and package == "libstdc++6" and _NEWEST_CXX_SYMBOL not in path.read_bytes():
            found.append(f"{path} is older than GCC 12: Triton needs Debian 12, Ubuntu 22.04 or newer, or Docker")
    return found


def check_space(folder: Path) -> list[str]:
    """Room for the environment on disk (unless it is installed already) and for requests in /dev/shm."""
    found = []
    existing = next(p for p in [folder, *folder.absolute().parents] if p.exists())
    free = shutil.disk_usage(existing).free
    if not (folder / "installed.json").exists() and free < NEEDED_DISK_BYTES:
        needed = f"{NEEDED_DISK_BYTES / 1e6:.0f} MB are needed (TRITON_ENV names another place)"
        found.append(f"{free / 1e6:.0f} MB are free at {existing}, {needed}")
    shm = Path("/dev/shm")
    if not os.access(shm, os.W_OK):
        found.append("/dev/shm cannot be written to: Triton passes its requests to the Python backend through it")
    elif shutil.disk_usage(shm).free < NEEDED_SHM_BYTES:
        found.append(f"/dev/shm is full: free {NEEDED_SHM_BYTES / 1e6:.0f} MB there (in Docker: --shm-size)")
    return found


def check_all(python: str | os.PathLike[str] | None, env_folder: Path) -> list[str]:
    """Every finding about the machine, most basic first; an empty list when the embedded Triton can run."""
    found = check_platform() + check_own_python()
    try:
        asked = interpreter(python)
        # Too old for the project as well: one finding says it.
        if python or not check_own_python():
            found += check_python(asked)
    except ValueError as error:
        found.append(str(error))
    if platform.system() == "Linux":
        found += check_libraries()
    return found + check_space(env_folder)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _loader_cache() -> list[str]:
    ldconfig = shutil.which("ldconfig") or "/sbin/ldconfig"  # a user's PATH often lacks /sbin
    try:
        answer = subprocess.run([ldconfig, "-p"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in answer.stdout.splitlines()]


def _loadable(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def _install(debian_package: str) -> str:
    if shutil.which("apt-get"):
        return f"apt-get install {debian_package}"
    return f"install the package that brings it (Debian and Ubuntu call it {debian_package})"


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit status: 0 when nothing is missing, 2 otherwise."""
    parser = argparse.ArgumentParser(prog="python3 -m server.preflight", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--python", default=os.environ.get("TRITON_PYTHON") or None, help="interpreter to embed")
    parser.add_argument("--env", type=Path, default=Path(os.environ.get("TRITON_ENV") or triton_environment()))
    parser.add_argument("--host", default="127.0.0.1", help="address that the ports are wanted on")
    parser.add_argument("--ports", nargs="*", metavar="SETTING=PORT", help="also check that these ports are free; "
                        "with none named, the gateway's and Triton's as the environment sets them")  # fmt: skip
    options = parser.parse_args(arguments)
    found = check_all(options.python, options.env)
    if options.ports is not None:
        try:
            found += ports.check_ports(options.host, ports.parse(options.ports) or ports.from_environment())
        except ValueError as error:
            found.append(str(error))
    for finding in found:
        sys.stderr.write(f"preflight: {visible(finding)}\n")
    return 2 if found else 0


if __name__ == "__main__":
    sys.exit(main())
