"""`python -m benchmarks precision`: a checkpoint and an exported version in one table, served by the real thing."""

import json
from pathlib import Path

from typer.testing import CliRunner

from benchmarks.__main__ import app
from tests.tiny_exports import export, write_labelled, write_source


def test_a_version_is_measured_alone_and_served_and_held_against_pytorch(tmp_path: Path) -> None:
    source = write_source(tmp_path)
    data = write_labelled(tmp_path / "maps.csv")
    export(source, tmp_path / "version")
    options = ["--version", f"mine={tmp_path / 'version'}", "--reference", source / "classifier", "--data", data]
    options += ["--rounds", 1, "--seconds", 0.5, "--sentences", 64, "--connections", 8, "--price-per-hour", "$0.10"]
    result = CliRunner().invoke(app, ["precision", *map(str, options), "--results", str(tmp_path / "results")])
    assert result.exit_code == 0, result.output
    (folder,) = (tmp_path / "results").iterdir()
    pytorch, mine = json.loads((folder / "results.json").read_text())["versions"]
    assert (pytorch["name"], mine["name"]) == ("classifier, PyTorch", "mine")
    for figure in ("batches_per_second", "served_per_second", "alone_ms", "memory_mb"):
        assert len(mine[figure]) == 1
        assert mine[figure][0] > 0
    # The service answered, and as PyTorch did.
    assert mine["quality"]["agreement"] == 1.0
    assert mine["quality"]["confident_changes"] == 0
    assert mine["quality"]["figures"] == pytorch["quality"]["figures"]
    assert mine["quality"]["beside_pytorch"]["accuracy"]["value"] == 0.0
    assert "| mine |" in (folder / "report.md").read_text()
