"""An alternative, for real, beside the whole service: same checkpoint, same answers, then the load."""

import sys
from pathlib import Path

import psutil
import pytest

from benchmarks.alternatives import measure
from benchmarks.alternatives.measure import measure_alternatives
from benchmarks.alternatives.outcome import Loads
from benchmarks.alternatives.registry import ALTERNATIVES
from benchmarks.alternatives.table import alternatives_table
from benchmarks.measure.sentences import load_sentences
from tests.tiny_models import write_classifier
from training import SAMPLE_DATA


def test_fastapi_with_the_pipeline_is_measured_beside_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the packages that are here: its own environment would hold the same ones."""
    monkeypatch.setattr(measure, "obtain", lambda *_: Path(sys.executable).parent)
    checkpoint = write_classifier(tmp_path / "checkpoint", ["a", "b", "c"])
    chosen = [each for each in ALTERNATIVES if each.environment == "fastapi"]
    said: list[str] = []
    outcomes = measure_alternatives(
        chosen,
        checkpoint,
        load_sentences(SAMPLE_DATA, 64),
        Loads((1, 8), seconds=1.0, run_up_s=0.2, rounds=1),
        tmp_path,
        False,
        said.append,
    )
    for outcome in outcomes:
        assert outcome.reason == ""
        assert sorted(outcome.pairs) == [1, 8]
        assert outcome.figures(8).per_second > 5
        assert outcome.figures(8, ours=True).per_second > 5
        assert outcome.memory_mb > 50
        assert outcome.our_memory_mb > 50
    assert len(alternatives_table(outcomes).rows) == 2 + 2 * 4
    commands = [" ".join(process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if str(checkpoint) in command]
