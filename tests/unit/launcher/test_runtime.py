"""The gateway that is started beside the embedded Triton is told which ONNX Runtime that has."""

import os
import sys
from pathlib import Path

import pytest

from launcher.runtime import runtime_variables
from server.install import EmbeddedTriton
from server.process import ChildSpec
from server.settings import ServerSettings


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ServerSettings, str]:
    """An environment as the installer leaves it, with the metadata of two packages; and its binary."""
    settings = ServerSettings(triton_env=tmp_path / "triton")
    triton = EmbeddedTriton(settings.triton_env, "3.11", False)
    for name, version in (("onnxruntime", "1.32.0"), ("numpy", "2.0")):
        folder = triton.site_packages / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.setattr("launcher.runtime.find_installed", lambda _: triton)
    return settings, str(triton.binary)


def child(binary: str) -> ChildSpec:
    return ChildSpec(name="triton", argv=[binary], env=dict(os.environ))


def test_the_version_is_that_of_the_environment(installed: tuple[ServerSettings, str]) -> None:
    settings, binary = installed
    assert runtime_variables(child(binary), settings, {}) == {"TRITON_ONNXRUNTIME": "1.32.0"}


def test_of_another_triton_and_of_what_is_set_nothing_is_said(installed: tuple[ServerSettings, str]) -> None:
    settings, binary = installed
    assert runtime_variables(child("/opt/tritonserver/bin/tritonserver"), settings, {}) == {}
    assert runtime_variables(child(binary), settings, {"TRITON_ONNXRUNTIME": "1.30.0"}) == {}
    assert runtime_variables(child(sys.executable), settings, {}) == {}
