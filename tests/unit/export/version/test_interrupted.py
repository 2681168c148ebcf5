"""An export that is stopped leaves nothing half-written, and the version before it stays whole."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from repository.manifest import Manifest
from tests.unit.export.checkpoint.test_pairs import TEXTS, export
from tests.waiting import wait_until
from tests.word_checkpoints import write


@pytest.mark.parametrize(
    ("number", "stage"),
    [
        (signal.SIGINT, ".version-*/raw.onnx"),
        (signal.SIGINT, ".version-*/fp32/model.onnx"),
        (signal.SIGTERM, ".version-*/fp32/model.onnx"),
    ],
)
def test_a_stopped_export_leaves_only_the_version_that_was_there(
    tmp_path: Path, number: signal.Signals, stage: str
) -> None:
    checkpoint = write(tmp_path / "checkpoint")
    version = export(checkpoint, tmp_path / "out" / "version")
    before = Manifest.read(version)
    data = tmp_path / "data.txt"
    data.write_text("\n".join(TEXTS))
    command = [sys.executable, "-m", "export", str(checkpoint), "--output", str(version), "--data", str(data)]
    process = subprocess.Popen(
        [*command, "--precision", "fp32"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        wait_until(
            lambda: process.poll() is not None or list(version.parent.glob(stage)),
            60,
            f"{stage} is there",
            pause_s=0.002,
        )
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert [path.name for path in version.parent.iterdir()] == ["version"]
    assert Manifest.read(version) == before
    before.verify_files(version)
