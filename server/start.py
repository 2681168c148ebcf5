"""What happens before Triton runs: checks, a missing installation, and the child for the supervisor."""

from __future__ import annotations

import sys
from collections.abc import Callable

from repository.location import S3Location
from repository.manifest import RepositoryError
from repository.spelling import as_called
from server import ports, preflight, triton
from server.install import EmbeddedTriton, InstallError, ensure_installed, find_installed
from server.process import ChildSpec
from server.settings import ServerSettings


class StartError(Exception):
    """Triton cannot be started here; each of `findings` is one line that says what is wrong and what to do."""

    def __init__(self, *findings: str) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


def triton_child(settings: ServerSettings, report: Callable[[str], None]) -> ChildSpec:
    """Triton as a child for the supervisor: the native one where there is one, else the embedded one.

    Installs the embedded one if it is missing; `report` is told what is going on, line by line.

    Raises:
        StartError: a port is taken, the machine lacks something, or the installation failed.
    """
    found = ports.check_ports(settings.triton_host, settings.ports())
    if isinstance(settings.model_repository, S3Location):
        if not found:
            _first_sync(settings, settings.model_repository, report)
    elif not settings.model_repository.is_dir():
        found.append(f"MODEL_REPOSITORY is {settings.model_repository}, which is no folder")
    if found:
        raise StartError(*found)
    native = triton.find_native() if settings.triton_kind != "embedded" else None
    if native is not None:
        return triton.native_child(settings, native)
    if settings.triton_kind == "native":
        raise StartError("TRITON_KIND is native, but no tritonserver with an ONNX Runtime backend is on PATH")
    return triton.embedded_child(settings, installed(settings, report))


def mirror_children(settings: ServerSettings) -> list[ChildSpec]:
    """What runs beside Triton: for a repository in S3, the process that keeps Triton's copy in line with it."""
    if not isinstance(settings.model_repository, S3Location):
        return []
    argv = [sys.executable, "-m", "repository", "sync", str(settings.local_copy("triton")), "--follow"]
    return [ChildSpec(name="mirror", argv=argv, grace_s=2.0)]


def _first_sync(settings: ServerSettings, location: S3Location, report: Callable[[str], None]) -> None:
    """Copy the repository out of S3, so that what is wrong with it is said before anything starts.

    Raises:
        StartError: there is nothing to serve. An older copy is served while S3 cannot be asked.
    """
    try:
        from repository.mirror import Mirror
    except ImportError:
        advice = as_called("pip install '.[s3]'")
        raise StartError(f"MODEL_REPOSITORY is in S3, which needs more packages: {advice}") from None
    folder = settings.local_copy("triton")
    report(f"copying {location} to {folder}")
    try:
        if Mirror(location, folder).sync():
            return
    except RepositoryError as error:
        if not any(folder.glob("*/[1-9]*")):
            raise StartError(f"MODEL_REPOSITORY: {error}") from None
        report(f"{error}; serving the copy that is in {folder}")
        return
    raise StartError(f"MODEL_REPOSITORY: {location} holds no version yet: publish one")


def installed(settings: ServerSettings, report: Callable[[str], None]) -> EmbeddedTriton:
    """The embedded Triton, installed first if need be.

    Raises:
        StartError: the machine lacks something, or the installation failed.
    """
    embedded = find_installed(settings)
    if embedded is not None:
        return embedded
    if found := preflight.check_all(settings.triton_python, settings.triton_env):
        raise StartError(*found)
    try:
        return ensure_installed(settings, report)
    except InstallError as error:
        raise StartError(str(error)) from error
