"""What is wrong with data is found before training, and what a person corrects is what is trained on."""

import csv
import json
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from repository.manifest import ProblemType
from tests.tiny_models import word_tokenizer
from tests.tiny_pipeline import write_tiny_base
from training.__main__ import app
from training.data.examples import Example
from training.data.reading import read_file
from training.inspection.duplicates import find_duplicates
from training.inspection.mislabelled import confident_errors, doubted

WORDS = {"food": "bread soup rice oven salt pan", "work": "desk mail boss plan team call"}


def rows_of(count: int = 30) -> list[dict[str, str]]:
    chance = random.Random(0)
    return [
        {"text": f"{' '.join(chance.choices(words.split(), k=6))} {label[0]}{number}", "label": label}
        for label, words in WORDS.items()
        for number in range(count)
    ]


def write(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["text", "label"])
        writer.writeheader()
        writer.writerows(rows)
    return path


def inspect(tmp_path: Path, *arguments: str, status: int = 0) -> str:
    base = tmp_path / "base"
    word_tokenizer().save_pretrained(base)
    (base / "config.json").write_text('{"model_type": "bert", "max_position_embeddings": 16}')
    done = CliRunner().invoke(app, ["inspect", *arguments, "--base-model", str(base)])
    assert done.exit_code == status, done.output
    return done.stdout


def test_near_duplicates_are_found_and_texts_of_one_subject_are_not() -> None:
    long = "the committee will meet on Tuesday to discuss the plan for the garden behind the house"
    texts = [long, long.replace("Tuesday", "Thursday"), "Bread!", "bread", long, "the committee will never meet again"]
    found = find_duplicates(texts)
    assert found.exact == [[0, 4]]
    assert found.near == [[0, 1, 4], [2, 3]]


def test_a_flipped_label_is_doubted_first_and_its_own_is_suggested() -> None:
    examples = [Example(row["text"], row["label"], row["text"]) for row in rows_of()]
    examples[7] = Example(examples[7].text, "work", examples[7].group)
    doubt = doubted(examples, ProblemType.SINGLE_LABEL)[0]
    assert (doubt.place, doubt.given, doubt.suggested) == (7, "work", "food")
    several = [Example(one.text, (str(one.target),), one.group) for one in examples]
    assert doubted(several, ProblemType.MULTI_LABEL)[0].suggested == ("food",)


def test_a_number_far_from_what_its_text_suggests_is_an_outlier() -> None:
    chance = random.Random(1)
    numbers = {"food": 1.0, "work": 5.0}
    examples = [Example(r["text"], numbers[r["label"]] + chance.uniform(-0.5, 0.5), r["text"]) for r in rows_of()]
    for wrong in (50.0, 5000.0):
        examples[3] = Example(examples[3].text, wrong, examples[3].group)
        assert [doubt.place for doubt in doubted(examples, ProblemType.REGRESSION)] == [3]  # and none like it


def test_a_label_is_doubted_past_its_class_threshold_alone() -> None:
    given = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55]])
    assert confident_errors(probabilities, given) == [(1, 1, pytest.approx(4))]


def test_rare_labels_that_a_model_never_saw_are_no_division_by_zero() -> None:
    found = confident_errors(np.array([[0.0, 1.0], [0.1, 0.9], [0.8, 0.2]]), np.array([0, 1, 0]))
    assert found == [(0, 1, 1e6)]


def test_an_encoder_reads_each_text_alike_in_any_batch_and_tells_how_far_it_is(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from tests.tiny_pipeline import write_tiny_base
    from training.inspection.sentence_vectors import sentence_vectors

    base = write_tiny_base("bert", tmp_path / "base")
    texts = [f"learn {'a language ' * (number % 9)}{number}" for number in range(40)]
    done: list[int] = []
    vectors = sentence_vectors([*texts, texts[3]], str(base), 16, done.append)
    assert sum(done) == len(vectors) == 41
    np.testing.assert_allclose(vectors[3], vectors[40], atol=1e-4)
    assert np.abs(vectors[3] - vectors[4]).max() > 0.01
    data = write(tmp_path / "d.csv", rows_of())
    arguments = ["inspect", str(data), "--judge", "encoder", "--base-model", str(base), "--json"]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 0, told.output
    assert json.loads(told.stdout)["rows"] == 60


def test_looking_at_data_needs_no_torch(tmp_path: Path) -> None:
    data, base = write(tmp_path / "d.csv", rows_of()), tmp_path / "base"
    word_tokenizer().save_pretrained(base)
    (base / "config.json").write_text("{}")
    code = (
        "import sys; from typer.testing import CliRunner; from training.__main__ import app; "
        "done = CliRunner().invoke(app, sys.argv[1:]); assert done.exit_code == 0, done.output; "
        "sys.exit('torch' in sys.modules)"
    )
    arguments = ("inspect", str(data), "--base-model", str(base), "--out", str(tmp_path / "found"))
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)


def test_faults_are_told_as_json_and_fail_a_strict_run(tmp_path: Path) -> None:
    rows = rows_of()
    train = write(tmp_path / "train.csv", [*rows, rows[0] | {"label": "work"}, {"text": "", "label": "food"}])
    test = write(tmp_path / "test.csv", [rows[1], {"text": "a new one of them", "label": "work"}])
    options = (str(train), "--text", "text", "--label", "label", "--test", str(test), "--json")
    told = json.loads(inspect(tmp_path, *options))
    assert told["labels"] == {"food": 31, "work": 32}
    assert told["skipped"] == {"text": 1}
    assert told["conflicts"] == [[{"file": "train.csv", "row": 2}, {"file": "train.csv", "row": 62}]]
    assert told["leaks"]["test"]["same"] == [{"file": "test.csv", "row": 2}]
    assert told["tokens"]["limit"] == 16
    inspect(tmp_path, *options, "--strict", status=1)


def test_a_corrected_table_is_trained_on_and_computes_nothing(tmp_path: Path) -> None:
    rows = rows_of()
    rows[4]["text"] = "=HYPERLINK(1) salt pan bread soup"
    rows[4]["label"], rows[5]["label"] = "work", "work"
    path = write(tmp_path / "d.csv", rows)
    inspect(tmp_path, str(path), "--out", str(tmp_path / "found"))
    table = tmp_path / "found" / "mislabelled.csv"
    with table.open(encoding="utf-8-sig", newline="") as file:
        found = list(csv.DictReader(file))
    assert not any(row["text"].startswith("=") for row in found)
    by_row = {row["row"]: row for row in found}
    assert by_row["6"]["text"] == "'=HYPERLINK(1) salt pan bread soup"
    by_row["6"]["label"], by_row["7"]["label"] = "food", ""
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]))
        writer.writeheader()
        writer.writerows([by_row["6"], by_row["7"]])
    inspect(tmp_path, str(path), "--corrections", str(table), "--out", str(tmp_path / "new"))
    corrected = read_file(tmp_path / "new" / "d.corrected.jsonl").examples
    expected = [(row["text"], row["label"]) for row in rows]
    expected[4] = (expected[4][0], "food")
    del expected[5]
    assert [(one.text, one.target) for one in corrected] == expected


def test_labels_are_judged_by_the_base_model_where_that_is_asked_for(tmp_path: Path) -> None:
    base = write_tiny_base("bert", tmp_path / "base")
    data = write(tmp_path / "a.csv", rows_of())
    options = ["--json", "--judge", "encoder", "--base-model", str(base), "--group", "text"]
    done = CliRunner().invoke(app, ["inspect", str(data), *options])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == 60
