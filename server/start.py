"""What happens before Triton runs: checks, a missing installation, and the child for the supervisor."""

from __future__ import annotations

from collections.abc import Callable

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
    if not settings.model_repository.is_dir():
        found.append(f"MODEL_REPOSITORY is {settings.model_repository}, which is no folder")
    if found:
        raise StartError(*found)
    native = triton.find_native() if settings.triton_kind != "embedded" else None
    if native is not None:
        return triton.native_child(settings, native)
    if settings.triton_kind == "native":
        raise StartError("TRITON_KIND is native, but no tritonserver with an ONNX Runtime backend is on PATH")
    return triton.embedded_child(settings, installed(settings, report))


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
