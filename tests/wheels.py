"""The wheel as `pip install .` builds it, and an environment that holds it beside this one's packages."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.places import ROOT

PACKAGES = ("benchmarks", "export", "gateway", "launcher", "pretrained", "repository", "server", "training")
CLIENT = "client/text_classifier_client"
METADATA = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "THIRD_PARTY_LICENSES.md")


def copy_sources(folder: Path) -> Path:
    """Copy what a build reads, so that it leaves nothing in the checkout."""
    for name in (*PACKAGES, "text_classifier", "client", "data", "locks"):
        shutil.copytree(
            ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "results", "build", "*.egg-info")
        )
    for name in METADATA:
        shutil.copy(ROOT / name, folder)
    return folder


def build(kind: str, sources: Path) -> Path:
    """Build a `wheel` or an `sdist`, as pip asks setuptools to."""
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}('dist'))"
    command = [sys.executable, "-P", "-c", code]
    done = subprocess.run(command, cwd=sources, env=environment(), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return sources / "dist" / done.stdout.splitlines()[-1]


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without what leads a Python to the checkout."""
    return {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **settings}


@dataclass(frozen=True)
class Installed:
    """A virtual environment that the wheel is installed in."""

    folder: Path

    @property
    def command(self) -> Path:
        """The command."""
        return self.folder / "bin" / "text-classifier"

    @property
    def site_packages(self) -> Path:
        """What is installed."""
        return next(self.folder.glob("lib/python3*/site-packages"))

    def run(self, *arguments: str, cwd: Path, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end."""
        return subprocess.run(
            [self.command, *arguments], cwd=cwd, env=environment(**settings), capture_output=True, text=True
        )


def install(wheel: Path, folder: Path, beside: Sequence[Path] = ()) -> Installed:
    """Install a wheel alone into a new environment, which takes other packages from folders that are there.

    Args:
        wheel: its file.
        folder: where the environment is made.
        beside: folders of the other packages; this environment's if none is named.
    """
    venv.create(folder, symlinks=True)
    installed = Installed(folder)
    lines = [str(path) for path in beside] or [sysconfig.get_path("purelib")]
    (installed.site_packages / "beside.pth").write_text("\n".join(lines) + "\n")
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]
    options = ["--disable-pip-version-check", "--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, *options, str(wheel)], env=environment(), check=True)
    return installed
