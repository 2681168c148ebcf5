"""An export fits what scores mean where the checkpoint's validation split is known, and says so where it is not."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from export.__main__ import app
from repository.manifest import Manifest
from repository.meaning.coverage import HELD_OUT_FILE
from tests.tiny_exports import LABELS, TEXTS, export, write_labelled, write_source
from training.data.columns import MAPS
from training.data.reading import read_file
from training.data.split_record import SplitRecord


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that knows its split of the maps beside it: 10, 35 and 15 of one idea each."""
    folder = write_source(tmp_path_factory.mktemp("source"))
    maps = write_labelled(folder / "maps.csv")
    examples = read_file(maps).examples
    splits = {"train": examples[:10], "validation": examples[10:45], "test": examples[45:]}
    record = SplitRecord.of(maps.name, "0" * 64, "groups", splits, MAPS)  # type: ignore[arg-type]
    record.write(folder / "classifier")
    return folder


def run(source: Path, output: Path, *options: str | Path) -> Result:
    arguments = [source / "classifier", "--output", output, "--precision", "fp32", *options]
    return CliRunner().invoke(app, list(map(str, arguments)))


def test_the_validation_split_is_fitted_on_and_the_test_split_reported_on(source: Path, tmp_path: Path) -> None:
    result = run(source, tmp_path / "version", "--data", source / "maps.csv")
    assert result.exit_code == 0, result.output
    manifest = Manifest.read(tmp_path / "version")
    manifest.verify_files(tmp_path / "version")
    calibration, coverage = manifest.calibration, manifest.coverage
    assert calibration is not None
    assert (calibration.sentences, calibration.origin) == (35, "validation split of maps.csv")
    assert calibration.test is not None
    assert (calibration.test.sentences, calibration.test.origin) == (15, "test split of maps.csv")
    assert coverage is not None
    assert coverage.groups == 35
    assert HELD_OUT_FILE in manifest.files
    assert "Calibration: temperature" in result.output
    assert "Label sets: coverage up to 0.972" in result.output


def test_it_can_be_left_out(source: Path, tmp_path: Path) -> None:
    manifest = export(source, tmp_path / "version", "--data", str(source / "maps.csv"), "--no-calibrated-scores")
    assert (manifest.calibration, manifest.coverage) == (None, None)
    assert HELD_OUT_FILE not in manifest.files


def test_sentences_without_labels_calibrate_nothing_and_the_export_says_what_does(source: Path, tmp_path: Path) -> None:
    result = run(source, tmp_path / "version", "--data", source / "sentences.txt")
    assert result.exit_code == 0, result.output
    assert Manifest.read(tmp_path / "version").calibration is None
    said = " ".join(result.output.split())
    assert "Scores are not calibrated: no validation split with labels is known." in said
    assert "calibrate` does it later, by labelled sentences." in said


def test_a_validation_file_of_its_own_is_fitted_on(source: Path, tmp_path: Path) -> None:
    rows = [f"{text} again {number},{LABELS[number % 3]}" for number, text in enumerate(TEXTS)]
    (tmp_path / "dev.csv").write_text("\n".join(["text,label", *rows]))
    result = run(source, tmp_path / "version", "--data", source / "maps.csv", "--validation", tmp_path / "dev.csv")
    assert result.exit_code == 0, result.output
    calibration = Manifest.read(tmp_path / "version").calibration
    assert calibration is not None
    assert (calibration.sentences, calibration.origin) == (60, "dev.csv")
    assert calibration.test is not None
    assert calibration.test.sentences == 15


def test_a_precision_of_labels_is_refused_where_there_is_one_label(source: Path, tmp_path: Path) -> None:
    result = run(source, tmp_path / "version", "--data", source / "maps.csv", "--label-precision", "0.9")
    assert "--label-precision is for models that answer several labels" in str(result.exception)
    assert not (tmp_path / "version").exists()
