"""The gate lets no model through that is worse than the served one beyond the noise, and says why in one line."""

import csv
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from launcher.gate import app
from repository.config import ModelConfig
from repository.manifest import ProblemType
from repository.store import ModelStore
from tests.tiny_pipeline import CLASSES, train_tiny_base
from tests.version_folders import write_version
from training.data.columns import Columns
from training.data.examples import Example
from training.data.load import SplitName
from training.data.reading import read_file
from training.data.split_record import SplitRecord

COLUMNS = Columns(("text",), "label", "author")
WORDS = {verb: label for label, verbs in CLASSES.items() for verb in verbs.split()}
# Right about a word in three.
POOR = {verb: label if place % 3 == 0 else "Work" for place, (verb, label) in enumerate(WORDS.items())}
AUTHORS = 12


def examples() -> list[Example]:
    """A text a class and author; every second author tests."""
    return [
        Example(f"{verb} by{n}", label, f"author {n}", "", None, 1)
        for n in range(AUTHORS)
        for verb, label in WORDS.items()
    ]


def record(tested: range = range(0, AUTHORS, 2), task: ProblemType = ProblemType.SINGLE_LABEL) -> SplitRecord:
    testers = {f"author {n}" for n in tested}
    splits: dict[SplitName, list[Example]] = {
        "train": [one for one in examples() if one.group not in testers],
        "validation": [],
        "test": [one for one in examples() if one.group in testers],
    }
    return SplitRecord.of("data.csv", "0" * 64, "groups", splits, COLUMNS, task)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", "author"])
        writer.writerows((one.text, one.target, one.group) for one in examples())
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path / "models"))
    store = ModelStore(tmp_path / "models", "classifier")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    return store


def version(folder: Path, words: dict[str, str], split: SplitRecord | None, **options: ProblemType) -> Path:
    write_version(folder, words, **options)  # type: ignore[arg-type]
    if split is not None:
        split.write(folder)
    return folder


def serve(store: ModelStore, folder: Path) -> None:
    """As published, with what it was trained on beside it."""
    number = store.publish(folder)
    if (folder / "split.json").is_file():
        shutil.copy(folder / "split.json", store.folder / str(number))


def gate(candidate: Path, data: Path, *options: str) -> Result:
    return CliRunner().invoke(app, [str(candidate), f"--data={data}", *options], catch_exceptions=False)


def one_line(result: Result) -> str:
    assert result.output.count("\n") == 1
    return result.output.strip()


def test_a_worse_model_is_refused_and_a_margin_lets_it_through(store: ModelStore, tmp_path: Path, data: Path) -> None:
    serve(store, version(tmp_path / "served", WORDS, record()))
    worse = version(tmp_path / "worse", POOR, record())
    refused = gate(worse, data)
    assert refused.exit_code == 1
    assert one_line(refused).startswith("Gate refused: macro-F1 0.")
    assert "against 1.000 of version 1 of classifier" in refused.output
    assert "on 54 test texts in 6 groups, worse beyond the noise." in refused.output
    assert gate(worse, data, "--margin=0.2").exit_code == 1
    passed = gate(worse, data, "--margin=0.9")
    assert passed.exit_code == 0
    assert one_line(passed).startswith("Gate passed: ")


def test_a_better_model_and_one_as_good_pass(store: ModelStore, tmp_path: Path, data: Path) -> None:
    serve(store, version(tmp_path / "served", POOR, record()))
    for name, words in (("better", WORDS), ("equal", POOR)):
        assert gate(version(tmp_path / name, words, record()), data).exit_code == 0


def test_a_difference_within_the_noise_passes(store: ModelStore, tmp_path: Path, data: Path) -> None:
    serve(store, version(tmp_path / "served", WORDS, record()))
    # Wrong on all texts of one author in six, who is in two draws of three: the interval reaches 0.
    write_version(tmp_path / "new", {**WORDS, "by0": "Work"}, weights={"by0": 9})
    record().write(tmp_path / "new")
    passed = gate(tmp_path / "new", data)
    assert passed.exit_code == 0, passed.output
    assert re.search(r"a difference of -0\.\d+ \[-0\.\d+, \+0\.000\]", passed.output)


def test_every_model_passes_where_none_is_served(store: ModelStore, tmp_path: Path, data: Path) -> None:
    passed = gate(version(tmp_path / "first", POOR, record()), data)
    assert (passed.exit_code, one_line(passed)) == (0, "Gate passed: no version of classifier is published yet.")
    assert store.numbers() == []


def test_texts_that_the_served_version_was_trained_on_are_left_out(
    store: ModelStore, tmp_path: Path, data: Path
) -> None:
    # It knows author 0 by heart, whom the candidate was tested on.
    serve(store, version(tmp_path / "served", WORDS, record(range(2, AUTHORS, 2))))
    refused = gate(version(tmp_path / "worse", POOR, record()), data)
    assert refused.exit_code == 1
    assert "on 45 test texts in 5 groups" in refused.output
    assert "(9 test texts that it was trained on are left out)" in one_line(refused)


@pytest.mark.parametrize(("unsure", "status"), [("refuse", 1), ("pass", 0)])
def test_what_cannot_be_compared_is_refused_unless_told_otherwise(
    store: ModelStore, tmp_path: Path, data: Path, unsure: str, status: int
) -> None:
    serve(store, version(tmp_path / "served", WORDS, record(range(1, AUTHORS, 2))))
    found = gate(version(tmp_path / "new", WORDS, record()), data, f"--unsure={unsure}")
    assert found.exit_code == status
    assert "0 test texts in 0 groups are new to both, 54 more were trained on by version 1" in one_line(found)
    assert "--unsure pass" in found.output


def test_labels_that_differ_are_named_and_models_of_another_kind_not_compared(
    store: ModelStore, tmp_path: Path, data: Path
) -> None:
    serve(store, version(tmp_path / "served", {**WORDS, "oak": "Plant"}, None))
    passed = gate(version(tmp_path / "new", WORDS, record()), data)
    assert passed.exit_code == 0
    assert "nobody can say what version 1 of classifier was trained on; labels that are gone: Plant" in one_line(passed)
    several = record(task=ProblemType.MULTI_LABEL)
    other = gate(version(tmp_path / "several", WORDS, several, problem_type=ProblemType.MULTI_LABEL), data)
    assert other.exit_code == 1
    assert (
        "the model is multi_label_classification, version 1 of classifier is single_label_classification"
        in one_line(other)
    )


def test_bad_input_is_one_line(store: ModelStore, tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(store, version(tmp_path / "served", WORDS, record()))
    new = version(tmp_path / "new", WORDS, record())
    monkeypatch.setenv("CHECKPOINT", str(tmp_path / "none"))
    for found, said in (
        (gate(tmp_path / "none", data), "there is no model in"),
        (gate(new, tmp_path / "none.csv"), "there is no such file"),
    ):
        assert found.exit_code == 2
        assert said in one_line(found)
    monkeypatch.setenv("GATE_MARGIN", "much")
    assert one_line(gate(new, data)).startswith("Error: GATE_MARGIN: ")


def test_a_checkpoint_is_asked_by_pytorch(store: ModelStore, tmp_path: Path) -> None:
    checkpoint = train_tiny_base("bert", tmp_path)
    maps = tmp_path / "maps.csv"
    # As if it had been tested on all of them: one of twelve maps gives the gate too little.
    found = read_file(maps)
    splits: dict[SplitName, list[Example]] = {"train": [], "validation": [], "test": list(found.examples)}
    SplitRecord.of(maps.name, found.sha256, "groups", splits).write(checkpoint)
    serve(store, version(tmp_path / "served", WORDS, None))
    refused = gate(checkpoint, maps)
    assert refused.exit_code == 1
    assert "on 36 test texts in 12 groups, worse beyond the noise" in one_line(refused)
