"""`python -m export calibrate`: a new version with the same graph, and a published one stays as it is."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from export.__main__ import app
from repository.location import S3Location
from repository.manifest import MODEL_FILE, Manifest, ProblemType
from repository.meaning.coverage import HELD_OUT_FILE
from repository.s3_store import S3Store
from repository.store import ModelStore
from tests.s3_server import CREDENTIALS, environment, s3_server
from tests.version_folders import write_version

WORDS = {"cat": "Animal", "oak": "Plant", "rock": "Mineral"}
SENTENCES = ["cat cat oak", "oak rock oak", "rock", "cat", "the"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path / "repository"))
    monkeypatch.setenv("MODEL_NAME", "classifier")
    found = ModelStore(tmp_path / "repository", "classifier")
    found.folder.mkdir(parents=True)
    found.ensure_config('name: "classifier"')
    found.publish(write_version(tmp_path / "exported", WORDS, weight=1.0, golden=SENTENCES[:2]))
    return found


def write_data(path: Path, count: int = 240, noise: int = 5, separator: str = "") -> Path:
    """Each text names its label, or, one in `noise`, another; four texts a group."""
    names = list(WORDS)
    rows = ["text,label,author"]
    for number in range(count):
        word = names[number % 3]
        label = WORDS[names[(number + (number % noise == 0)) % 3]]
        labels = separator.join(sorted({label, "Plant"})) if separator else label
        rows.append(f"{word} {word} {names[number % 2]} {number},{labels},a{number // 4}")
    path.write_text("\n".join(rows))
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)])


def refused(*arguments: object) -> str:
    """The reason, as the command would print it."""
    result = run(*arguments)
    assert result.exit_code != 0, result.output
    assert result.exception is not None
    return str(result.exception)


def content_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("version", ["1", "newest"])
def test_a_published_version_is_published_anew_and_stays_as_it_is(
    store: ModelStore, tmp_path: Path, version: str
) -> None:
    before = content_of(store.folder / "1")
    result = run(version, "--data", write_data(tmp_path / "data.csv"), "--group", "author")
    assert result.exit_code == 0, result.output
    assert "Published version 2 of classifier" in result.output
    assert content_of(store.folder / "1") == before
    manifest = Manifest.read(store.folder / "2")
    assert manifest.calibration is not None
    assert manifest.calibration.test is not None
    assert (manifest.calibration.sentences, manifest.calibration.groups) == (120, 30)
    assert manifest.calibration.test.groups == 30
    assert manifest.coverage is not None
    assert [one.coverage for one in manifest.coverage.test] == [0.8, 0.9, 0.95]
    assert manifest.files[MODEL_FILE] == Manifest.read(store.folder / "1").files[MODEL_FILE]
    store.verify(2)
    store.replay(2)


def test_calibrating_twice_changes_nothing_of_the_version_between(store: ModelStore, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.csv")
    assert run("1", "--data", data).exit_code == 0
    between = content_of(store.folder / "2")
    assert run("newest", "--data", write_data(tmp_path / "other.csv", noise=3)).exit_code == 0
    assert content_of(store.folder / "2") == between
    second, third = (Manifest.read(store.folder / number).files[HELD_OUT_FILE] for number in ("2", "3"))
    assert second != third


def test_all_of_the_data_is_fitted_on_where_a_file_to_report_on_is_named(store: ModelStore, tmp_path: Path) -> None:
    data, test = write_data(tmp_path / "data.csv"), tmp_path / "test.csv"
    test.write_text(data.read_text().replace(",a", ",b").replace(",buthor", ",author"))
    result = run("1", "--data", data, "--test", test, "--group", "author", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["calibration"]["sentences"] == 240
    assert found["calibration"]["test"]["origin"] == "test.csv"
    assert store.numbers() == [1, 2]


def test_an_exported_folder_is_changed_in_place_and_another_can_be_written(store: ModelStore, tmp_path: Path) -> None:
    data, folder = write_data(tmp_path / "data.csv"), tmp_path / "exported"
    before = content_of(folder)
    assert run(folder, "--data", data, "--output", tmp_path / "new").exit_code == 0
    assert content_of(folder) == before
    assert run(folder, "--data", data).exit_code == 0
    for written in (folder, tmp_path / "new"):
        manifest = Manifest.read(written)
        manifest.verify_files(written)
        assert manifest.calibration is not None
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    assert run("1", "--data", data, "--output", tmp_path / "copy").exit_code == 0
    assert store.numbers() == [1]


def test_a_model_of_several_labels_gets_a_sigmoid_and_a_threshold_for_each(store: ModelStore, tmp_path: Path) -> None:
    folder = write_version(tmp_path / "several", WORDS, weight=1.0, problem_type=ProblemType.MULTI_LABEL)
    data = write_data(tmp_path / "data.csv", separator=";")
    result = run(folder, "--data", data, "--label-separator", ";", "--label-precision", "0.7")
    assert result.exit_code == 0, result.output
    manifest = Manifest.read(folder)
    assert manifest.thresholds is not None
    assert (manifest.thresholds.chosen_by, manifest.thresholds.least_precision) == ("precision", 0.7)
    assert manifest.calibration is not None
    assert len(manifest.calibration.slopes or []) == 3
    assert manifest.coverage is None
    assert store.numbers() == [1]


def test_what_cannot_be_done_is_refused_in_one_line_that_says_what_to_do(store: ModelStore, tmp_path: Path) -> None:
    data = write_data(tmp_path / "data.csv")
    assert "is published, and is never changed: give its number" in refused(store.folder / "1", "--data", data)
    assert "version 7 of classifier does not exist" in refused("7", "--data", data)
    assert "nowhere.csv does not exist" in refused("1", "--data", tmp_path / "nowhere.csv")
    assert "neither a version folder nor a version number" in refused("nothing", "--data", data)
    number = write_version(tmp_path / "number", {"good": "stars"}, problem_type=ProblemType.REGRESSION)
    assert "answers a number" in refused(number, "--data", data)
    single = refused("1", "--data", data, "--label-precision", 0.9)
    assert "--label-precision is for models that answer several" in single
    few = write_data(tmp_path / "few.csv", count=40)
    assert "20 held-out texts with labels are too few" in refused("1", "--data", few)
    other = tmp_path / "other.csv"
    other.write_text(data.read_text().replace("Animal", "Fungus"))
    assert "the label 'Fungus' is none of the model's" in refused("1", "--data", other)
    (tmp_path / "lines.csv").write_text("sentence\none\ntwo")
    assert "no column is called label" in refused("1", "--data", tmp_path / "lines.csv")
    assert "is published, and is never changed" in refused("1", "--data", data, "--output", store.folder / "1")
    assert "is no version folder" in refused("1", "--data", data, "--output", store.folder)
    assert store.numbers() == [1]


def test_a_version_in_s3_is_published_anew_there(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with environment(CREDENTIALS), s3_server(tmp_path / "log") as server:
        address = server.repository("calibrate")
        monkeypatch.setenv("MODEL_REPOSITORY", address)
        remote = S3Store(S3Location.parse(address), "classifier")
        remote.publish(tmp_path / "exported")
        result = run("newest", "--data", write_data(tmp_path / "data.csv"))
        assert result.exit_code == 0, result.output
        assert remote.numbers() == [1, 2]
        assert remote.manifest(1).calibration is None
        assert remote.manifest(2).coverage is not None
        remote.verify(2)
    assert store.numbers() == [1]
