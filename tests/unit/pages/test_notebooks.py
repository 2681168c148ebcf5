"""The notebooks run from top to bottom with what is in the packages, and are kept without what they showed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.places import ROOT as REPOSITORY
from tests.tiny_pipeline import run, write_maps, write_tiny_base
from tests.version_folders import write_version
from training.__main__ import app as training_app

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))


def outputs_of(name: str, monkeypatch: pytest.MonkeyPatch, **parameters: str) -> str:
    for key, value in {
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        **parameters,
    }.items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("MPLBACKEND", raising=False)  # the kernel's own shows a plot in the notebook
    notebook: Any = nbformat.read(REPOSITORY / "notebooks" / name, 4)
    client = nbclient.NotebookClient(
        notebook, timeout=180, resources={"metadata": {"path": str(REPOSITORY / "notebooks")}}
    )
    client.execute()
    return json.dumps([cell.get("outputs", []) for cell in notebook.cells], ensure_ascii=False)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_both_notebooks_run_on_a_tiny_model_and_few_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, base = write_maps(tmp_path / "maps.csv"), write_tiny_base("bert", tmp_path / "base")
    given = ("--data", str(data), "--base-model", str(base), "--no-baseline", "--report", "none", "--max-steps", "2")
    for name in ("new", "old"):
        run(training_app, *given, "--seed", str(len(name)), "--output", str(tmp_path / name))
    explored = outputs_of("1-explore.ipynb", monkeypatch, DATA=str(data), BASE_MODEL=str(base))
    assert "Education" in explored
    assert "longer than the model's 40 tokens" in explored
    assert "image/png" in explored
    version = write_version(tmp_path / "version", {"learn": "Education", "cook": "Food", "plan": "Work"})
    judged = outputs_of(
        "2-judge.ipynb",
        monkeypatch,
        DATA=str(data),
        CHECKPOINT=str(tmp_path / "new"),
        PREDECESSOR=os.pathsep.join([str(tmp_path / "old"), str(version)]),
    )
    assert "expected calibration error" in judged
    assert "image/png" in judged
    # What is split alike was tested on alike; of a version without a record nobody knows.
    for name in ("old", "version"):
        assert f"This model minus {name}, on 9 of 9 test texts" in judged
    assert judged.count("McNemar(") == 2
