"""A version holds what was measured and golden sentences; outside its tolerance it is refused, or stays marked."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.checkpoint.load import load_checkpoint
from export.parity import pipeline
from export.parity.report import PARITY_FILE, ParityReport
from export.parity.sweep import ladder
from export.texts.golden_choice import SENTENCES
from repository.golden import GOLDEN_FILE, Golden
from repository.manifest import Manifest, Precision
from repository.store import ModelStore
from repository.tolerances import TOLERANCES, Provider
from tests.tiny_exports import TEXTS, export, write_labelled, write_source


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="module")
def version(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("version") / "fp32"
    export(folder, output)
    return output


def test_the_version_holds_the_report_and_golden_sentences(version: Path) -> None:
    manifest = Manifest.read(version)
    manifest.verify_files(version)
    assert {PARITY_FILE, GOLDEN_FILE} < set(manifest.files)
    assert manifest.forced == []
    report = ParityReport.model_validate_json((version / PARITY_FILE).read_text())
    assert report.sentences == manifest.parity
    assert report.violations == []
    assert report.sweep.lengths == ladder(64)
    golden = Golden.read(version)
    assert golden is not None
    assert len([sentence for sentence in golden.sentences if sentence.second is None]) == SENTENCES
    assert {sentence.text for sentence in golden.sentences} <= set(TEXTS)


def test_every_golden_sentence_has_the_pipelines_own_answer(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = load_checkpoint(str(folder / "classifier"))
    monkeypatch.setattr(pipeline, "SAMPLE", 0)
    export(folder, tmp_path / "version")
    golden = Golden.read(tmp_path / "version")
    assert golden is not None
    texts = [each.text if each.second is None else (each.text, each.second) for each in golden.sentences]
    assert np.array_equal([each.logits for each in golden.sentences], pipeline.pipeline_logits(checkpoint, texts))


def test_sentences_of_a_calibration_file_are_compared_in_place_of_the_data(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.txt"
    own.write_text("\n".join(["my own words", "doctor", "a recipe for soup"]))
    assert export(folder, tmp_path / "version", "--calibration", str(own)).parity.sentences == 3
    golden = Golden.read(tmp_path / "version")
    assert golden is not None
    assert {sentence.text for sentence in golden.sentences} == set(own.read_text().splitlines())


def test_accuracy_is_measured_on_labelled_data_beside_a_calibration_file(folder: Path, tmp_path: Path) -> None:
    data, own = write_labelled(tmp_path / "data.csv"), tmp_path / "own.txt"
    own.write_text("doctor\nmarket")
    alone = export(folder, tmp_path / "alone", "--data", str(data))
    both = export(folder, tmp_path / "both", "--data", str(data), "--calibration", str(own))
    assert alone.evaluation is not None
    assert both.evaluation == alone.evaluation
    assert both.parity.sentences == 2


def test_int8_that_loses_quality_is_refused_with_the_figures(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stricter = dataclasses.replace(TOLERANCES[Provider.CPU, Precision.INT8], macro_f1_drop=-2.0, label_agreement=1.01)
    monkeypatch.setitem(TOLERANCES, (Provider.CPU, Precision.INT8), stricter)
    data = write_labelled(tmp_path / "data.csv")
    with pytest.raises(ExportError, match=r"labels agree, 101.00% needed.*macro-F1 falls by -?0\.\d+, -2 allowed"):
        export(folder, tmp_path / "version", "--data", str(data), "--precision", "int8")
    assert not (tmp_path / "version").exists()


def test_a_calibration_file_that_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"nowhere\.txt does not exist: give --calibration"):
        export(folder, tmp_path / "version", "--calibration", str(tmp_path / "nowhere.txt"))


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tolerance that no graph keeps."""
    impossible = dataclasses.replace(TOLERANCES[Provider.CPU, Precision.FP32], max_logit_difference=0.0)
    monkeypatch.setitem(TOLERANCES, (Provider.CPU, Precision.FP32), impossible)


@pytest.mark.usefixtures("strict")
def test_an_export_outside_its_tolerance_is_refused_unless_forced_and_stays_marked(
    folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "version"
    with pytest.raises(ExportError, match=r"largest logit difference .* 0 allowed.*--force"):
        export(folder, output)
    assert not output.exists()
    options = ["--output", str(output), "--data", str(folder / "sentences.txt"), "--precision", "fp32", "--force"]
    result = CliRunner().invoke(app, [str(folder / "classifier"), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    manifest = Manifest.read(output)
    assert len(manifest.forced) == 2
    assert "FORCED" in result.output
    unwrapped = " ".join(result.output.split())
    assert all(reason in unwrapped for reason in manifest.forced)
    assert json.loads((output / PARITY_FILE).read_text())["violations"] == manifest.forced
    store = ModelStore(tmp_path / "repository", "classifier")
    store.publish(output)
    assert store.version(1).manifest == manifest
