"""Each alternative's packages: a virtual environment made from its lock when it is first needed.

`locks/NAME.in` says what is asked for, `NAME.txt` the version of each package that comes with it (constraints, so that
a CPU build of torch leaves out the CUDA packages). `NAME.alone`, where there is one, is installed without what it asks
for.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.alternatives import AlternativeError
from benchmarks.alternatives.registry import Alternative
from repository.spelling import as_called

LOCKS = Path(__file__).parent / "locks"
ENVIRONMENTS = Path(".alternatives")
INSTALL_S = 1800
DOCKER_S = 30

_STAMP = "installed.sha256"
# uv reads none of pip's settings; these say where packages come from. Where pip has another index beside the default
# one, it takes the best version of all, for which uv has to be asked.
_PIP_TO_UV = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
}

Report = Callable[[str], None]


def obtain(alternative: Alternative, environments: Path, create: bool, report: Report) -> Path:
    """Folder of the programs that the alternative is started with; makes its environment if it has to.

    Args:
        alternative: which.
        environments: folder of all environments.
        create: make one that is not there.
        report: told what is being done.

    Raises:
        AlternativeError: it is not installed, and why.
    """
    if not alternative.environment:
        require_image(alternative.package)
        return environments
    folder = environments.absolute() / alternative.environment
    if _is_complete(folder, alternative.environment):
        return folder / "bin"
    if not create:
        raise AlternativeError(as_called("not installed; `python -m benchmarks alternatives` installs it"))
    report(f"installing {alternative.environment} into {environments / alternative.environment}")
    _install(folder, alternative.environment)
    return folder / "bin"


def locked_version(environment: str, package: str) -> str:
    """Version of a package in a lock."""
    for line in (LOCKS / f"{environment}.txt").read_text().splitlines():
        name, _, version = line.partition("==")
        if name == package:
            return version.split(";")[0].strip()
    raise KeyError(f"{environment}.txt does not lock {package}")


def require_image(image: str) -> None:
    """Nothing is pulled: an image is large, and a name can be made to point to another one.

    Raises:
        AlternativeError: no Docker engine answers, or it has no such image.
    """
    if shutil.which("docker") is None:
        raise AlternativeError("no Docker on PATH")
    try:
        engine = subprocess.run(["docker", "version"], capture_output=True, timeout=DOCKER_S)
        found = subprocess.run(["docker", "image", "inspect", image], capture_output=True, timeout=DOCKER_S)
    except (OSError, subprocess.TimeoutExpired):
        raise AlternativeError("no Docker engine answers") from None
    if engine.returncode:
        raise AlternativeError("no Docker engine answers")
    if found.returncode:
        raise AlternativeError(f"image not present; `docker pull {image}` fetches it")


def _is_complete(folder: Path, environment: str) -> bool:
    try:
        return (folder / _STAMP).read_text() == _digest(environment)
    except OSError:
        return False


def _digest(environment: str) -> str:
    """Of all that an environment is made from."""
    content = b"".join(path.read_bytes() for path in sorted(LOCKS.glob(f"{environment}.*")))
    return hashlib.sha256(content + sys.version.encode()).hexdigest()


def _install(folder: Path, environment: str) -> None:
    """The stamp comes last: an interrupted installation has none and is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)])
        install = [uv, "pip", "install", "--quiet", "--python", python]
    else:
        _run([sys.executable, "-m", "venv", str(folder)])
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    lock = LOCKS / environment
    _run([*install, "-c", f"{lock}.txt", "-r", f"{lock}.in"])
    if (LOCKS / f"{environment}.alone").exists():
        _run([*install, "--no-deps", "-r", f"{lock}.alone"])
    (folder / _STAMP).write_text(_digest(environment))


def _run(command: list[str]) -> None:
    variables = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    for theirs, ours in _PIP_TO_UV.items():
        if theirs in variables:
            variables.setdefault(ours, variables[theirs])
    if "UV_INDEX" in variables:
        variables.setdefault("UV_INDEX_STRATEGY", "unsafe-best-match")
    try:
        done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=INSTALL_S)
    except subprocess.TimeoutExpired:
        raise AlternativeError(f"does not install within {INSTALL_S} s") from None
    if done.returncode:
        lines = [line.strip(" ×╰─▶│") for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in reversed(lines) if line.lower().startswith("error")), "")
        raise AlternativeError(f"does not install: {reason or ' '.join(lines)[:300] or 'no reason given'}")
