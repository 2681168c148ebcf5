"""The client is a distribution of its own: one package, typed, with httpx as all that it needs."""

import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.wheels import build, copy_sources, environment, install


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The client's wheel, built from a copy."""
    return build("wheel", copy_sources(tmp_path_factory.mktemp("sources")) / "client")


def test_the_wheel_holds_one_package_that_is_typed_and_needs_httpx_alone(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    names = {name.partition("/")[0] for name in archive.namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"text_classifier_client"}
    assert "text_classifier_client/py.typed" in archive.namelist()
    metadata = archive.read(next(name for name in archive.namelist() if name.endswith("/METADATA"))).decode()
    assert [line for line in metadata.splitlines() if line.startswith("Requires-Dist")] == [
        "Requires-Dist: httpx<1,>=0.27"
    ]


def test_it_is_imported_without_anything_else_of_this_project(wheel: Path, tmp_path: Path) -> None:
    installed = install(wheel, tmp_path / "environment")
    code = (
        "import sys, text_classifier_client as c; "
        "others = {'pandas', 'polars', 'pyarrow', 'numpy', 'repository', 'gateway', 'typer'}; "
        "print(c.__version__, others & {*sys.modules})"
    )
    python = installed.folder / "bin" / "python"
    done = subprocess.run([python, "-P", "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True)
    assert done.stdout == "0.1.0 set()\n", done.stderr
