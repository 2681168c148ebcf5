"""Scoring a file: every kind in and out, the answers those of /classify, and what can't be scored is said."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.manifest import ProblemType
from tests.integration.gateways import publish
from tests.integration.scoring import WORDS, read_rows, score, write_rows
from tests.integration.stack import Stack
from tests.version_folders import write_version

KINDS = ("csv", "tsv.gz", "jsonl", "jsonl.gz", "parquet")
TEXTS = ["aprende", 'pan "blanco", caliente', "huerto\r\nverde", "", "aprende huerto pan pan", "pan " * 40, "  "]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One Triton with a model of each problem type; the gateway beside it asks the first."""
    folder = tmp_path_factory.mktemp("batch")
    models = folder / "models"
    publish(models, "classifier", write_version(folder / "one", WORDS, golden=["pan"]))
    publish(models, "several", write_version(folder / "many", WORDS, problem_type=ProblemType.MULTI_LABEL))
    number = write_version(folder / "number", {"bueno": "stars"}, problem_type=ProblemType.REGRESSION)
    publish(models, "number", number)
    with Stack(models, folder / "log") as running:
        yield running


def test_every_kind_of_file_goes_into_every_other_with_the_answers_of_classify(stack: Stack, tmp_path: Path) -> None:
    answers = [stack.classify(text).json()[0] if text.strip() else {"label": None, "score": None} for text in TEXTS]
    sources = {kind: write_rows(tmp_path / f"in.{kind}", TEXTS) for kind in KINDS}
    for source, target in itertools.product(KINDS, KINDS):
        output = tmp_path / f"{source}.to.{target}"
        status, said = score(stack, sources[source], output)
        assert status == 0, said
        rows = read_rows(output)
        assert [(row["id"], row["text"], row["note"]) for row in rows] == [
            (str(number), text, "a|b") for number, text in enumerate(TEXTS)
        ]
        for row, answer in zip(rows, answers, strict=True):
            assert row["label"] in (answer["label"], answer["label"] or "")
            assert float(row["score"] or 0) == pytest.approx(answer["score"] or 0, rel=1e-5)
            assert str(row["model_version"]) == "1"
        assert "1 row had more than the 16 tokens" in said
        assert "2 rows without a text" in said
        assert not list(tmp_path.glob("*.partial"))


def test_columns_are_joined_as_in_training_and_pairs_are_asked_as_pairs(stack: Stack, tmp_path: Path) -> None:
    source = tmp_path / "maps.jsonl"
    source.write_text('{"map_title": "aprende aprende", "idea_title": "pan", "n": 1}\n')
    assert score(stack, source, tmp_path / "maps.csv", "--top-k", 2, "--all-labels")[0] == 0
    (row,) = read_rows(tmp_path / "maps.csv")
    assert (row["label"], row["label_2"]) == ("Education", "Food")
    assert {"score_Education", "score_Food", "score_Home"} < row.keys()
    status, said = score(stack, source, tmp_path / "pair.csv", "--text", "idea_title", "--text-pair", "map_title")
    assert status == 0, said
    assert read_rows(tmp_path / "pair.csv")[0]["n"] == "1"


def test_several_labels_are_a_list_or_joined_and_a_regression_is_a_number(stack: Stack, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.csv", ["pan aprende", "nada"])
    for kind in ("jsonl", "csv", "parquet"):
        assert score(stack, source, tmp_path / f"out.{kind}", MODEL_NAME="several", THRESHOLD="0.6")[0] == 0
    assert [row["label"] for row in read_rows(tmp_path / "out.jsonl")] == [["Education", "Food"], []]
    assert [row["label"] for row in read_rows(tmp_path / "out.parquet")] == [["Education", "Food"], []]
    assert [row["label"] for row in read_rows(tmp_path / "out.csv")] == ["Education|Food", ""]
    status, said = score(stack, source, tmp_path / "no.csv", "--separator", "o", MODEL_NAME="several")
    assert (status, "give --separator" in said) == (2, True)
    good = write_rows(tmp_path / "good.csv", ["bueno bueno", "nada"])
    assert score(stack, good, tmp_path / "stars.parquet", "--score-column", "stars", MODEL_NAME="number")[0] == 0
    assert [row["stars"] for row in read_rows(tmp_path / "stars.parquet")] == [8.0, 0.0]
    assert "label" not in read_rows(tmp_path / "stars.parquet")[0]


def test_a_broken_row_is_named_or_left_out_and_costs_no_other(stack: Stack, tmp_path: Path) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(b'id,text\n1,pan\n2,"pan" x,\n3,a,b\n\n4,\xff\n5,"huerto\nverde"\n')
    status, said = score(stack, source, output)
    assert (status, said.count("\n")) == (1, 1)
    assert "row 3 is not quoted as it must be" in said
    assert not output.exists()
    status, said = score(stack, source, output, "--on-error", "skip")
    assert status == 0, said
    assert [row["id"] for row in read_rows(output)] == ["1", "5"]
    skipped = [json.loads(line) for line in Path(f"{output}.skipped.jsonl").read_text().splitlines()]
    assert [line["row"] for line in skipped] == [3, 4, 6]
    assert skipped[1]["record"] == "3,a,b"
    lines = tmp_path / "in.jsonl"
    lines.write_text(
        '{"text": "pan"}\n{"text": 3}\n{"text"\n{"text": "\\ud800"}\n{"text": "x", "text": "y"}\n{"a": 1}\n'
        f'{{"text": "x", "a": {"5" * 5000}}}\n'
    )
    status, said = score(stack, lines, tmp_path / "out.jsonl", "--on-error", "skip")
    assert status == 0, said
    assert "6 rows skipped" in said
    source.write_text('id,text\n1,pan\n2,"never closed\n3,pan\n')
    status, said = score(stack, source, tmp_path / "open.csv", "--on-error", "skip")
    assert (status, "row 3 opens a quotation mark that is never closed" in said) == (2, True)


@pytest.mark.parametrize(
    ("content", "options", "reason"),
    [
        ("", [], "it is empty"),
        ("id,note\n1,pan\n", [], "no column is called text or sentence"),
        ("text,label\npan,Food\n", [], "there is a column label already, which is kept"),
        ("text,text\npan,Food\n", [], "the column text stands twice"),
        ("text\npan\n", ["--text", "body"], "there is no column body; there is text"),
        ("text\npan\n", ["--version", "7"], "Triton on 127.0.0.1"),
    ],
)
def test_what_cannot_be_scored_is_said_in_one_line_and_leaves_nothing(
    stack: Stack, tmp_path: Path, content: str, options: list[str], reason: str
) -> None:
    (tmp_path / "in.csv").write_text(content)
    status, said = score(stack, tmp_path / "in.csv", tmp_path / "out.csv", *options)
    assert status in (1, 2)
    assert reason in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_without_a_triton_it_says_what_to_start(stack: Stack, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.csv", ["pan"])
    status, said = score(stack, source, tmp_path / "out.csv", TRITON_HTTP_PORT="1")
    assert status == 1
    assert "no Triton answers on 127.0.0.1:1: start the service with `make up`" in said
    assert not list(tmp_path.glob("*.partial"))
