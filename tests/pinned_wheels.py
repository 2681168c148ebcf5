"""Has each pin of the locks a wheel for every machine that the project names? `python -m tests.pinned_wheels` says it.

uv is asked once a lock which files its pins have on the package index; which of them a machine takes is decided here as
pip decides it, by the wheel's tags. Nothing is downloaded but the lists of files.
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.markers import Marker, default_environment
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from repository.console import Console
from tests.places import ROOT

out = Console()

LOCKS = ROOT / "locks"
PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
MACHINES = ("x86_64", "aarch64")
# Ubuntu 22.04's, the oldest system that the embedded Triton is built for.
GLIBC = (2, 35)
_OLDEST_GLIBC = (2, 5)
_LEGACY = {(2, 17): "manylinux2014", (2, 12): "manylinux2010", (2, 5): "manylinux1"}


class IndexMissingError(Exception):
    """The lists of files cannot be had here; the message says why in one line."""


@dataclass(frozen=True, order=True)
class Target:
    """A Python on a machine."""

    machine: str
    python: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.machine}, Python {self.python[0]}.{self.python[1]}"

    def tags(self) -> set[Tag]:
        """Every tag of a wheel that pip would install there."""
        platforms = [*manylinux(self.machine), f"linux_{self.machine}"]
        abi = f"cp{self.python[0]}{self.python[1]}"
        return {
            *cpython_tags(self.python, abis=[abi], platforms=platforms),
            *compatible_tags(self.python, interpreter=abi, platforms=platforms),
        }

    def markers(self) -> dict[str, str]:
        """What the conditions of a lock are about."""
        environment = {name: str(value) for name, value in default_environment().items()}
        minor = f"{self.python[0]}.{self.python[1]}"
        # Of a minor version the newest: a pin for the first patches alone is none that a user meets.
        environment.update(
            {
                "platform_machine": self.machine,
                "python_version": minor,
                "python_full_version": f"{minor}.99",
                "sys_platform": "linux",
                "platform_system": "Linux",
                "os_name": "posix",
            }
        )
        return environment


TARGETS = tuple(Target(machine, python) for machine in MACHINES for python in PYTHONS)


def manylinux(machine: str) -> Iterator[str]:
    """The platforms of wheels that run on `GLIBC`, newest first."""
    for minor in range(GLIBC[1], _OLDEST_GLIBC[1] - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
        if (2, minor) in _LEGACY:
            yield f"{_LEGACY[2, minor]}_{machine}"


def pinned_files(lock: Path) -> list[dict[str, Any]]:
    """The packages of a lock as PEP 751 writes them: name, version, condition and every file on the index.

    Raises:
        IndexMissingError: uv is not installed, or reaches no package index.
    """
    uv = shutil.which("uv", path=sysconfig.get_path("scripts")) or shutil.which("uv")
    if uv is None:
        raise IndexMissingError("uv is not installed (pip install uv)")
    pins = [line for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line and line[:1] not in "# "]
    with tempfile.TemporaryDirectory() as folder:
        wanted, found = Path(folder) / "pins.txt", Path(folder) / "pylock.toml"
        wanted.write_text("\n".join(pins) + "\n", encoding="utf-8")
        options = ["--universal", "--python-version", "3.11", "--no-deps", "--no-config", "--quiet"]
        command = [uv, "pip", "compile", *options, "--format", "pylock.toml", "-o", str(found), str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise IndexMissingError(f"uv cannot read the index: {' '.join(done.stderr.split())[:200]}")
        return list(tomllib.loads(found.read_text(encoding="utf-8"))["packages"])


def without_wheel(packages: Iterable[dict[str, Any]], target: Target) -> list[str]:
    """The pins that apply to a machine and have no wheel for it, as `name==version`."""
    tags, markers = target.tags(), target.markers()
    found = []
    for package in packages:
        if "marker" in package and not Marker(package["marker"]).evaluate(markers):
            continue
        names = [wheel.get("name") or wheel["url"].rpartition("/")[2] for wheel in package.get("wheels", [])]
        if not any(parse_wheel_filename(name)[3] & tags for name in names):
            found.append(f"{package['name']}=={package['version']}")
    return found


def main() -> int:
    """Prints what each machine lacks; returns 1 where an answer cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m tests.pinned_wheels", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("locks", nargs="*", type=Path, default=[LOCKS / "app.txt", LOCKS / "triton.txt"])
    for lock in parser.parse_args().locks:
        try:
            packages = pinned_files(lock)
        except IndexMissingError as error:
            out.print(str(error))
            return 1
        for target in TARGETS:
            lacking = without_wheel(packages, target)
            out.print(f"{lock.name}, {target}: {len(packages)} pins, without a wheel: {', '.join(lacking) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
