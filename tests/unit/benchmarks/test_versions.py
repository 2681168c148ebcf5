"""The table of versions says what was measured, of whom, and holds every version against PyTorch."""

import math
from pathlib import Path

import numpy as np
import pytest

from benchmarks.measure.gateway import BenchmarkError
from benchmarks.measure.versions.quality import Reference, judge, pytorch_row, read_reference
from benchmarks.measure.versions.row import Row, ratios
from benchmarks.measure.versions.sources import named, published_row
from benchmarks.measure.versions.speed import measure_graphs
from benchmarks.report.cost import Price
from benchmarks.report.versions import versions_table
from repository.manifest import ProblemType
from repository.store import ModelStore
from tests.tiny_exports import LABELS, export, write_labelled, write_source
from tests.version_folders import write_version

COLUMNS = {"batch": 1, "get": 3, "alone": 5, "accuracy": 6, "less": 8, "agreement": 9, "changes": 10, "file": 12}


def reference(logits: list[list[float]], truth: str) -> Reference:
    groups = [str(place // 2) for place in range(len(truth))]
    found = np.array(logits, dtype=np.float32)
    return Reference("c", ["t"] * len(truth), list(truth), groups, ["a", "b"], found, ProblemType.SINGLE_LABEL, "texts")


def test_a_change_is_confident_where_pytorch_s_two_best_are_a_tenth_apart() -> None:
    # PyTorch: sure of a, sure of b, near a tie, sure of a. Odds of e^0.1 are 0.525 to 0.475.
    held = reference([[3, 0], [0, 3], [0.1, 0], [3, 0]], "abab")
    row = Row("v", None, logits=np.array([[3, 0], [3, 0], [0, 0.1], [3, 0]], dtype=np.float32))
    judge(row, held)
    assert row.quality is not None
    assert (row.quality.confident, row.quality.confident_changes) == (3, 1)
    assert row.quality.agreement == 0.5
    assert row.quality.figures["accuracy"].value == 0.25
    assert row.quality.beside_pytorch["accuracy"].value == 0.25 - 0.75


def test_pytorch_agrees_with_itself() -> None:
    row = pytorch_row(reference([[3, 0], [0, 3]], "aa"))
    assert row.quality is not None
    assert (row.quality.agreement, row.quality.confident_changes) == (1.0, 0)
    assert row.quality.beside_pytorch["macro_f1"].value == 0.0


def test_ratios_are_of_the_same_round_and_leave_out_what_only_one_has() -> None:
    assert ratios([200.0, 90.0, 50.0], [100.0, 100.0]) == [0.9, 2.0]


def test_the_table_shows_what_was_measured_and_leaves_the_rest_empty(tmp_path: Path) -> None:
    held = reference([[3, 0], [0, 3]], "ab")
    one = Row("one", write_version(tmp_path / "one", {"cat": "a", "oak": "b"}), logits=held.logits)
    one.served_per_second, one.alone_ms, one.memory_mb = [100.0, 120.0], [8.0, 9.0], [300.0]
    judge(one, held)
    two = Row("two", one.folder, served_per_second=[200.0, 180.0])
    table = versions_table([one, two, Row("three", None, "the export failed")], held, 64, Price.parse("$3.6"))
    first, second, third = table.rows
    assert first[COLUMNS["batch"]] == second[COLUMNS["alone"]] == second[COLUMNS["accuracy"]] == ""
    assert (first[COLUMNS["get"]], first[COLUMNS["get"] + 1]) == ("110/s", "1")
    assert second[COLUMNS["get"] + 1] == "1.75 (1.50 … 2.00)"
    assert first[COLUMNS["alone"]] == "8.50 ms"
    assert first[COLUMNS["changes"]] == "0 of 2"
    assert first[COLUMNS["file"]].endswith(" MB")
    assert second[-1] == "$5.26 (5 … 5.56)"
    assert third[:2] == ["three", "the export failed"]
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_a_name_is_given_or_found_and_stands_once() -> None:
    assert named("new=exports/a") == ("new", "exports/a")
    assert named("exports/a", ["a"]) == ("a (2)", "exports/a")
    with pytest.raises(BenchmarkError, match="is no version"):
        named("=exports/a")


def test_a_version_is_found_by_its_number_and_by_its_folder(tmp_path: Path) -> None:
    folder = write_version(tmp_path / "exported", {"cat": "a", "oak": "b"})
    store = ModelStore(tmp_path / "models", "classifier")
    store.publish(folder)
    assert published_row("1", store, []) == Row("version 1", store.folder / "1")
    assert published_row("old=1", store, []) == Row("old", store.folder / "1")
    assert published_row(str(folder), store, []) == Row("exported", folder)
    with pytest.raises(BenchmarkError, match="is no version"):
        published_row("7", store, [])


def test_a_version_of_two_graphs_has_no_figures_of_one(tmp_path: Path) -> None:
    one = Row("one", write_version(tmp_path / "one", {"cat": "a", "oak": "b"}))
    two = Row("two", write_version(tmp_path / "two", {"cat": "a", "oak": "b"}))
    assert two.folder is not None
    (two.folder / "student.onnx").write_bytes(b"more")
    measure_graphs([one, two], ["cat oak", "oak"] * 20, 2, lambda _: None)
    assert len(one.batches_per_second) == 2
    assert two.batches_per_second == []
    assert two.size_bytes == one.size_bytes + 4


def test_texts_that_a_version_was_trained_on_are_not_asked(tmp_path: Path) -> None:
    source = write_source(tmp_path)
    data = write_labelled(tmp_path / "maps.csv")
    found = read_reference(source / "classifier", data, [])
    assert (found.labels, len(found.texts), found.logits.shape) == (LABELS, 60, (60, 3))
    assert "nobody can say" in found.origin
    export(tmp_path, tmp_path / "version")
    row = Row("v", tmp_path / "version", logits=found.logits)
    judge(row, found)
    assert row.quality is not None
    assert row.quality.agreement == 1.0
    interval = row.quality.figures["accuracy"]
    assert interval.low <= interval.value <= interval.high
    assert not math.isnan(interval.low)
