"""What holds for all tests."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.config import ModelConfig
from repository.store import ModelStore
from tests.places import ROOT

# Files of unit tests that took six seconds or more on two cores; `make test-fast` leaves them to `make test`.
SLOW = {
    "benchmarks/alternatives/test_measure.py",
    "benchmarks/alternatives/test_processes.py",
    "benchmarks/test_gpu.py",
    "benchmarks/test_instruments.py",
    "benchmarks/test_precision.py",
    "benchmarks/test_versions.py",
    "deploy/test_kubernetes.py",
    "export/checkpoint/test_token_types.py",
    "export/commands/test_cascade.py",
    "export/commands/test_inspect.py",
    "export/commands/test_profile.py",
    "export/graph/test_architectures.py",
    "export/graph/test_external_data.py",
    "export/graph/test_floor.py",
    "export/graph/test_layouts.py",
    "export/parity/test_sweep.py",
    "export/precision/int8/test_int8.py",
    "export/precision/int8/test_shipped.py",
    "export/precision/test_float16.py",
    "export/texts/test_sentences.py",
    "export/version/test_build.py",
    "export/version/test_evidence.py",
    "export/version/test_fallback.py",
    "export/version/test_interrupted.py",
    "export/version/test_meaning.py",
    "export/version/test_profile.py",
    "fuzz/test_corpus.py",
    "fuzz/test_promises.py",
    "gateway/dialects/test_pipelines.py",
    "gateway/test_memory.py",
    "launcher/test_pipeline.py",
    "package/test_command.py",
    "package/test_pinned_wheels.py",
    "pages/test_notebooks.py",
    "pages/test_site.py",
    "repository/s3/test_copies.py",
    "repository/s3/test_names.py",
    "repository/s3/test_store.py",
    "server/test_native_symbols.py",
    "test_hostile_names.py",
    "test_makefile_paths.py",
    "training/commands/test_distill.py",
    "training/commands/test_train.py",
    "training/encoders/test_bases.py",
    "training/encoders/test_e5.py",
    "training/encoders/test_vocabulary.py",
    "training/figures/test_real_coverage.py",
    "training/fit/test_craft.py",
    "training/fit/test_lesson.py",
    "training/fit/test_published_start.py",
    "training/fit/test_resume.py",
    "training/fit/test_searches.py",
    "training/fit/test_tasks.py",
    "training/fit/test_warm_start.py",
}


def pytest_configure() -> None:
    """Undo that a shell which starts the tests in the background lets them, and what they start, ignore Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _signals_as_usual() -> Iterator[None]:
    """A command that is run in this process may take SIGTERM for good, but leaves Ctrl-C as it was."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    left = signal.getsignal(signal.SIGINT)
    for number, handler in before.items():
        signal.signal(number, handler)
    assert left == before[signal.SIGINT], left


@pytest.fixture(autouse=True)
def _numbers_as_usual() -> Iterator[None]:
    """Training lets the processor take the smallest numbers for 0, for good: in its own process, but for tests."""
    yield
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_flush_denormal(False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow ones of the unit tests, and run them before the quick ones."""
    unit = ROOT / "tests" / "unit"
    slow = {unit / name for name in SLOW}
    if missing := sorted(str(path) for path in slow if not path.is_file()):
        raise pytest.UsageError(f"tests/conftest.py names slow tests that are not there: {', '.join(missing)}")
    for item in items:
        if item.path in slow:
            item.add_marker(pytest.mark.slow)
    # A long file that came last would leave the other processes idle: see SIDE_BY_SIDE in the Makefile.
    items.sort(key=lambda item: 0 if unit not in item.path.parents else 1 if item.path in slow else 2)


@pytest.fixture
def l4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine whose nvidia-smi tells of an L4; yields its model repository, which has the usual config."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text('#!/bin/sh\ncase "$1" in -L) echo "GPU 0: NVIDIA L4";; *) echo "NVIDIA L4, 23034";; esac\n')
    smi.chmod(0o755)
    monkeypatch.setenv("PATH", f"{smi.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path / "models"))
    ModelStore(tmp_path / "models", "classifier").ensure_config(ModelConfig("classifier").to_pbtxt())
    return tmp_path / "models"
