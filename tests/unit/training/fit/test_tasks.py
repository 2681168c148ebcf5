"""Any table trains by flags alone: one label, several labels or a number, from training to the exported graph."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from export.__main__ import app as export_app
from export.graph.session import start_session
from repository.golden import Golden
from repository.inference import load_tokenizer, pad_batch, scores
from repository.manifest import (
    CARD_FILE,
    MODEL_FILE,
    REPORT_PAGE,
    HeldOut,
    Manifest,
    ProblemType,
    RepositoryError,
    digest_file,
)
from repository.tolerances import unit_of
from tests.any_table import LABELS, texts, write_table
from tests.tiny_pipeline import run, write_tiny_base
from training.__main__ import app as training_app
from training.report.contents import REPORT_FILE


@pytest.mark.parametrize("name", LABELS)
def test_each_kind_of_label_is_trained_exported_and_evaluated(tmp_path: Path, name: str) -> None:
    file, task, flags, labels = LABELS[name]
    data = write_table(tmp_path / file, labels)
    base = write_tiny_base("bert", tmp_path / "base")
    columns = ("--text", "headline", "--text", "body", "--label", "answer")
    given = ("--base-model", str(base), "--output", str(tmp_path / "checkpoint"), "--max-steps", "3")
    run(training_app, "--data", str(data), *columns, *flags, *given)
    report = json.loads((tmp_path / "checkpoint" / REPORT_FILE).read_text())
    assert (report["task"], report["data"]["columns"]["text"]) == (task.value, ["headline", "body"])
    run(export_app, str(tmp_path / "checkpoint"), "--data", str(data), "--output", str(tmp_path / "version"))
    manifest = Manifest.read(tmp_path / "version")
    assert manifest.problem_type is task
    assert manifest.evaluation is not None
    assert manifest.evaluation.held_out is HeldOut.GROUPS
    measured = manifest.evaluation.model_dump() | manifest.evaluation.checkpoint_figures
    own = {figure: report["test"][figure] for figure in measured if figure in report["test"]}
    assert own
    for figure, value in own.items():
        expected = measured.get(f"checkpoint_{figure}", measured[figure])
        assert expected == pytest.approx(value, rel=1e-3, abs=1e-3), figure
    assert_the_report_travels_and_is_made_again(tmp_path, data, manifest, report)


def assert_the_report_travels_and_is_made_again(
    folder: Path, data: Path, manifest: Manifest, report: dict[str, Any]
) -> None:
    for file in (REPORT_PAGE, CARD_FILE, REPORT_FILE):
        assert manifest.files[file] == digest_file(folder / "checkpoint" / file)
    assert report["baseline"]["model"].startswith("TF-IDF + ")
    assert report["learning_curve"]["doubled"]["groups"] > 100
    assert report["mistakes"]["nearest_by"].startswith("the mean vectors of the base model")
    told = ("--data", str(data), "--output", str(folder / "again"), "--served", str(folder / "version"))
    run(training_app, "evaluate", str(folder / "checkpoint"), *told, "--report", "figures")
    again = json.loads((folder / "again" / REPORT_FILE).read_text())
    for split in ("validation", "test"):
        for name in again[split]["intervals"]:
            assert again[split][name] == pytest.approx(report[split][name], rel=1e-4, abs=1e-4), (split, name)
    assert (again["learning_curve"], again["mistakes"]) == (report["learning_curve"], None)
    served = again["served"]
    assert (served["compared"], served["left_out"], served["texts"]) == (True, 0, again["test"]["support"])
    assert all(
        abs(one["value"]) < 1e-2 * abs(served["new"][name]["value"]) + 1e-3 or "int8" in manifest.precision
        for name, one in served["difference"].items()
    )


def test_a_checkpoint_of_which_nobody_knows_the_data_is_not_evaluated(tmp_path: Path) -> None:
    done = CliRunner().invoke(training_app, ["evaluate", str(tmp_path)])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "has no split.json, so nobody can say what it was trained on" in done.stderr


def test_a_regression_answers_in_the_unit_of_its_labels(tmp_path: Path) -> None:
    file, _, _, labels = LABELS["a number"]
    data = write_table(tmp_path / file, labels)
    base = write_tiny_base("bert", tmp_path / "base")
    columns = ("--text", "headline", "--label", "answer")
    run(
        training_app,
        "--data",
        str(data),
        *columns,
        "--base-model",
        str(base),
        "--output",
        str(tmp_path / "c"),
        "--max-steps",
        "3",
    )
    run(export_app, str(tmp_path / "c"), "--data", str(data), "--output", str(tmp_path / "v"))
    manifest = Manifest.read(tmp_path / "v")
    tokenizer = load_tokenizer(tmp_path / "v", manifest.max_length)
    ids = [tokenizer.encode(text).ids for text, _ in texts()[:5]]
    logits = start_session(tmp_path / "v" / MODEL_FILE).run(None, pad_batch(ids, manifest.pad_token_id))[0]
    assert np.all((scores(logits, manifest.problem_type) > 4000) & (scores(logits, manifest.problem_type) < 30_000))


def test_a_regression_in_large_units_is_no_fault_and_one_that_is_off_still_is(tmp_path: Path) -> None:
    data = write_table(tmp_path / "a.csv", [1_000_000.5 + 50_000 * (n % 7) for n in range(len(texts()))])
    base = write_tiny_base("bert", tmp_path / "base")
    columns = ("--text", "headline", "--label", "answer")
    given = ("--base-model", str(base), "--output", str(tmp_path / "c"), "--max-steps", "3")
    run(training_app, "--data", str(data), *columns, *given)
    run(export_app, str(tmp_path / "c"), "--data", str(data), "--output", str(tmp_path / "v"), "--precision", "fp32")
    golden = Golden.read(tmp_path / "v")
    assert golden is not None
    values = np.array([sentence.logits for sentence in golden.sentences])
    assert values.min() > 500_000
    golden.check(values * (1 + 1e-6))
    with pytest.raises(RepositoryError, match="answered otherwise"):
        golden.check(values * 1.01)


def test_the_unit_of_answers_grows_with_a_regressions_and_is_one_for_labels() -> None:
    assert unit_of([[1e6], [1.5e6]], ProblemType.REGRESSION) == 5e5
    assert unit_of([[1e6], [1e6]], ProblemType.REGRESSION) == 1e4
    assert unit_of([[0.1], [0.2]], ProblemType.REGRESSION) == 1.0
    assert unit_of([[1e6], [1.5e6]], ProblemType.MULTI_LABEL) == 1.0
