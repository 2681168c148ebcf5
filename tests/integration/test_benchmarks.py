"""perf_analyzer, the real one, against a real Triton."""

from pathlib import Path

import httpx
import pytest

from benchmarks.measure.perf_analyzer import Load, PerfAnalyzerError, find_perf_analyzer
from benchmarks.measure.service import running_triton
from benchmarks.measure.triton_sweep import Sweep, run_sweep
from server.install import ensure_installed
from server.settings import ServerSettings
from tests.integration.gateways import publish
from tests.integration.stack import ROOT
from tests.version_folders import write_version

SENTENCES = ["cat oak cat", "oak " * 12, "cat"]


def test_perf_analyzer_measures_every_load_over_both_protocols(tmp_path: Path) -> None:
    store = publish(tmp_path / "repository", "classifier", write_version(tmp_path / "v", {"cat": "A", "oak": "B"}))
    analyzer = find_perf_analyzer(ROOT / ".perf_analyzer", ensure_installed(ServerSettings()))
    sweep = Sweep(("http", "grpc"), (1, 4), (4,), (8,), 300)
    done: list[str] = []
    version = store.folder / "1"
    with running_triton(store.folder.parent, "classifier") as addresses:
        points = run_sweep(analyzer, sweep, version, "classifier", addresses, SENTENCES, done.append)
        stats = httpx.get(f"http://{addresses['http']}/v2/models/classifier/versions/1/stats").json()
        with pytest.raises(PerfAnalyzerError, match="perf_analyzer ended"):
            analyzer.measure(Load("http", 1, 1, None), "nothing", 1, addresses["http"], tmp_path / "none", 300)
    assert len(points) == len(done) == len(sweep.loads()) == 6
    assert [point.problem for point in points] == [""] * 6
    for point in points:
        assert point.measured is not None
        assert point.measured.sentences_per_second > 1
        assert 0 < point.measured.p50_ms <= point.measured.p99_ms
    assert stats["model_stats"][0]["inference_count"] > 100
