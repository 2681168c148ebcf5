"""What a card would run is rehearsed on the CPU: the same graphs, batches, rounds and table."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.commands.gpu import served_settings
from benchmarks.measure.gpu.plan import Order, Runs, batches, plan
from export.checkpoint.layout import Layout
from repository.cards import known_card

L4 = known_card("NVIDIA L4", 24)


def test_a_call_keeps_both_bounds_and_every_sentence_is_in_one() -> None:
    lengths = [5, 60, 7, 8, 9, 200, 3] * 5
    for order in Order:
        calls = list(batches(lengths, order, 128, 6))
        assert sorted(place for call in calls for place in call) == list(range(len(lengths)))
        for call in calls:
            padded = -(-max(lengths[place] for place in call) // 8) * 8
            assert len(call) <= 6
            assert padded * len(call) <= 128 or len(call) == 1


def test_neighbours_in_length_need_less_padding() -> None:
    lengths = [5, 60, 7, 33, 9, 100, 3] * 20

    def computed(order: Order) -> int:
        return sum(len(call) * max(lengths[place] for place in call) for call in batches(lengths, order, 512, 32))

    assert computed(Order.LENGTH) < computed(Order.ARRIVAL)


def test_the_plan_holds_every_number_format_padded_beside_packed_and_calls_of_several_sizes() -> None:
    cases = plan(L4)
    graphs = {str(case.graph) for case in cases}
    assert graphs == {"fp32, fused, CUDA", "fp16, fused, CUDA", "fp16, packed, CUDA", "fp32, plain, TensorRT"}
    assert {case.batch_tokens for case in cases} == {2048, 8192, 32768}
    orders = {case.order for case in cases if case.graph.layout is Layout.PACKED}
    assert orders == set(Order)
    assert {case.graph.runs for case in plan(L4, on_cpu=True)} == {Runs.CPU}


def test_the_service_is_tried_with_more_than_one_instance_and_as_many_sentences_as_it_takes() -> None:
    settings = served_settings(L4)
    assert {setting.instance_count for setting in settings} == {1, 2}
    assert settings[0].config["max_batch_size"] == 256
    assert settings[0].environment["BATCH_SENTENCES"] == "256"
    assert "--max-batch-size 256" in settings[0].commands


def test_without_a_card_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = CliRunner().invoke(app, ["gpu"])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "no NVIDIA card here" in result.stderr


@pytest.mark.usefixtures("l4")
def test_a_card_on_which_onnx_runtime_does_not_compute_is_told_of() -> None:
    result = CliRunner().invoke(app, ["gpu"])
    if result.exit_code != 1:
        pytest.skip("ONNX Runtime computes on a card here")
    assert "ONNX Runtime does not compute on it" in result.stderr


def test_the_rehearsal_measures_every_case_and_leaves_a_result(tmp_path: Path) -> None:
    options = ["--dry-run", "--no-served", "--sentences", "64", "--rounds", "2", "--results", str(tmp_path)]
    result = CliRunner().invoke(app, ["gpu", *options, "--price-per-hour", "$1"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    (folder,) = tmp_path.iterdir()
    found = json.loads((folder / "results.json").read_text())["gpu"]
    assert len(found["cases"]) == len(plan(L4))
    for case in found["cases"]:
        assert (case["note"], len(case["per_second"])) == ("", 2)
    assert min(found["agreement"].values()) > 0.95
    assert "cost of a million" in (folder / "report.md").read_text()
