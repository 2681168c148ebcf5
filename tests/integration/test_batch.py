"""Scoring a file: every kind in and out, no row lost or twice whatever stops it, the answers those of /classify."""

import csv
import gzip
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from typer.testing import CliRunner

from gateway.batch.__main__ import cli
from gateway.batch.rows import CHUNK_ROWS
from repository.manifest import ProblemType
from tests.integration.gateways import publish
from tests.integration.stack import ROOT, Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"aprende": "Education", "pan": "Food", "huerto": "Home"}
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


@pytest.fixture
def score(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Runs the command in this process; returns its status and what it said."""

    def run(*arguments: object, **settings: str) -> tuple[int, str]:
        for name, value in {**stack.env, **settings}.items():
            monkeypatch.setenv(name, value)
        done = CliRunner().invoke(cli, [str(argument) for argument in arguments], catch_exceptions=False)
        return done.exit_code, done.output

    return run


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "gateway.batch", *map(str, arguments)]


def write_rows(path: Path, texts: list[str]) -> Path:
    """A file of the kind that its name says, with a column before the text and a column behind."""
    rows = [{"id": str(number), "text": text, "note": "a|b"} for number, text in enumerate(texts)]
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
        return path
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as stream:
        if ".jsonl" in path.name:
            stream.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            table = csv.DictWriter(stream, list(rows[0]), delimiter="\t" if ".tsv" in path.name else ",")
            table.writeheader()
            table.writerows(rows)
    return path


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_table(path).to_pylist())
    with gzip.open(path, "rt", newline="") if path.suffix == ".gz" else path.open(newline="") as stream:
        if ".jsonl" in path.name:
            return [json.loads(line) for line in stream]
        return list(csv.DictReader(stream, delimiter="\t" if ".tsv" in path.name else ","))


def test_every_kind_of_file_goes_into_every_other_with_the_answers_of_classify(
    stack: Stack, score: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    answers = [stack.classify(text).json()[0] if text.strip() else {"label": None, "score": None} for text in TEXTS]
    sources = {kind: write_rows(tmp_path / f"in.{kind}", TEXTS) for kind in KINDS}
    for source, target in itertools.product(KINDS, KINDS):
        output = tmp_path / f"{source}.to.{target}"
        status, said = score(sources[source], output)
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


def test_columns_are_joined_as_in_training_and_pairs_are_asked_as_pairs(
    score: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    source = tmp_path / "maps.jsonl"
    source.write_text('{"map_title": "aprende aprende", "idea_title": "pan", "n": 1}\n')
    assert score(source, tmp_path / "maps.csv", "--top-k", 2, "--all-labels")[0] == 0
    (row,) = read_rows(tmp_path / "maps.csv")
    assert (row["label"], row["label_2"]) == ("Education", "Food")
    assert {"score_Education", "score_Food", "score_Home"} < row.keys()
    status, said = score(source, tmp_path / "pair.csv", "--text", "idea_title", "--text-pair", "map_title")
    assert status == 0, said
    assert read_rows(tmp_path / "pair.csv")[0]["n"] == "1"


def test_several_labels_are_a_list_or_joined_and_a_regression_is_a_number(
    score: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    source = write_rows(tmp_path / "in.csv", ["pan aprende", "nada"])
    for kind in ("jsonl", "csv", "parquet"):
        assert score(source, tmp_path / f"out.{kind}", MODEL_NAME="several", THRESHOLD="0.6")[0] == 0
    assert [row["label"] for row in read_rows(tmp_path / "out.jsonl")] == [["Education", "Food"], []]
    assert [row["label"] for row in read_rows(tmp_path / "out.parquet")] == [["Education", "Food"], []]
    assert [row["label"] for row in read_rows(tmp_path / "out.csv")] == ["Education|Food", ""]
    status, said = score(source, tmp_path / "no.csv", "--separator", "o", MODEL_NAME="several")
    assert (status, "give --separator" in said) == (2, True)
    good = write_rows(tmp_path / "good.csv", ["bueno bueno", "nada"])
    assert score(good, tmp_path / "stars.parquet", "--score-column", "stars", MODEL_NAME="number")[0] == 0
    assert [row["stars"] for row in read_rows(tmp_path / "stars.parquet")] == [8.0, 0.0]
    assert "label" not in read_rows(tmp_path / "stars.parquet")[0]


def _rows_kept(journal: Path) -> int:
    return int(json.loads(journal.read_text())["counts"]["rows"])


@pytest.mark.parametrize("kind", ["csv.gz", "parquet"])
def test_killed_at_any_moment_the_same_command_ends_in_the_same_bytes(stack: Stack, tmp_path: Path, kind: str) -> None:
    chance = random.Random(kind)
    texts = [" ".join(chance.choices([*WORDS, "nada"], k=chance.randint(0, 12))) for _ in range(4 * CHUNK_ROWS + 5)]
    source = write_rows(tmp_path / "in.jsonl", texts)
    whole, output = tmp_path / f"whole.{kind}", tmp_path / f"out.{kind}"
    subprocess.run(command(source, whole), env=stack.env, cwd=ROOT, check=True, capture_output=True)
    journal = tmp_path / f"out.{kind}.partial" / "journal.json"
    for chunks in (0, 1, 3):
        process = subprocess.Popen(command(source, output), env=stack.env, cwd=ROOT, stderr=subprocess.DEVNULL)
        wait_until(
            lambda process=process, chunks=chunks: (  # type: ignore[misc]
                process.poll() is not None or (journal.exists() and _rows_kept(journal) >= chunks * CHUNK_ROWS)
            ),
            60,
            "a chunk",
        )
        time.sleep(chance.uniform(0, 0.05))  # anywhere between that and the next
        process.kill()
        process.wait()
        assert not output.exists() or output.read_bytes() == whole.read_bytes()
    if not output.exists():
        subprocess.run(command(source, output), env=stack.env, cwd=ROOT, check=True, capture_output=True)
    assert output.read_bytes() == whole.read_bytes()
    assert [row["id"] for row in read_rows(output)] == [str(number) for number in range(len(texts))]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_told_to_end_says_how_to_go_on(
    stack: Stack, score: Callable[..., tuple[int, str]], tmp_path: Path, number: signal.Signals
) -> None:
    source = write_rows(tmp_path / "in.csv", ["pan aprende"] * 60 * CHUNK_ROWS)
    output = tmp_path / "out.csv"
    process = subprocess.Popen(command(source, output), env=stack.env, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    journal = tmp_path / "out.csv.partial" / "journal.json"
    wait_until(lambda: journal.exists() and json.loads(journal.read_text())["counts"]["rows"] > 0, 30, "a chunk")
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said.splitlines()[-1].endswith("rows are kept; the same command goes on from there.")
    assert not output.exists()
    kept = json.loads(journal.read_text())["counts"]["rows"]
    # What would not be the same run is refused, and nothing is lost by that.
    assert "is not what it was" in score(source, output, "--all-labels")[1]
    assert "begun with version 1" in score(source, output, "--version", 7)[1]
    with source.open("a") as stream:
        stream.write("more,pan,\n")
    assert "not as it was" in score(source, output)[1]
    assert json.loads(journal.read_text())["counts"]["rows"] == kept
    write_rows(source, ["pan"])
    assert score(source, output, "--restart")[0] == 0
    assert len(read_rows(output)) == 1
    assert "is there already" in score(source, output)[1]


def test_a_broken_row_is_named_or_left_out_and_costs_no_other(
    score: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_bytes(b'id,text\n1,pan\n2,"pan" x,\n3,a,b\n\n4,\xff\n5,"huerto\nverde"\n')
    status, said = score(source, output)
    assert (status, said.count("\n")) == (1, 1)
    assert "row 3 is not quoted as it must be" in said
    assert not output.exists()
    status, said = score(source, output, "--on-error", "skip")
    assert status == 0, said
    assert [row["id"] for row in read_rows(output)] == ["1", "5"]
    skipped = [json.loads(line) for line in Path(f"{output}.skipped.jsonl").read_text().splitlines()]
    assert [line["row"] for line in skipped] == [3, 4, 6]
    assert skipped[1]["record"] == "3,a,b"
    lines = tmp_path / "in.jsonl"
    lines.write_text(
        '{"text": "pan"}\n{"text": 3}\n{"text"\n{"text": "\\ud800"}\n{"text": "x", "text": "y"}\n{"a": 1}\n'
    )
    status, said = score(lines, tmp_path / "out.jsonl", "--on-error", "skip")
    assert status == 0, said
    assert "5 rows skipped" in said
    source.write_text('id,text\n1,pan\n2,"never closed\n3,pan\n')
    status, said = score(source, tmp_path / "open.csv", "--on-error", "skip")
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
    score: Callable[..., tuple[int, str]], tmp_path: Path, content: str, options: list[str], reason: str
) -> None:
    (tmp_path / "in.csv").write_text(content)
    status, said = score(tmp_path / "in.csv", tmp_path / "out.csv", *options)
    assert status in (1, 2)
    assert reason in said
    assert said.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_without_a_triton_it_says_what_to_start(score: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.csv", ["pan"])
    status, said = score(source, tmp_path / "out.csv", TRITON_HTTP_PORT="1")
    assert status == 1
    assert "no Triton answers on 127.0.0.1:1: start the service with `make up`" in said
    assert not list(tmp_path.glob("*.partial"))


def test_a_full_disk_is_one_line_and_the_run_goes_on_once_there_is_room(
    stack: Stack, score: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    texts = [f"pan {number}" for number in range(3 * CHUNK_ROWS)]
    source, output = write_rows(tmp_path / "in.csv", texts), tmp_path / "out.csv"
    # A file may be so long and no longer, which fails as a full disk does: in the middle of a write.
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # noqa: E731
    done = subprocess.run(
        command(source, output), env=stack.env, cwd=ROOT, preexec_fn=limit, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "can't be written: File too large: 2,048 rows are kept; the same command goes on" in done.stderr
    assert score(source, output)[0] == 0
    assert [row["text"] for row in read_rows(output)] == texts


def test_a_pipe_goes_through_and_says_that_it_cannot_be_gone_on_with(stack: Stack, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.csv", ["pan", "aprende"])
    options = ["--input-format", "csv", "--output-format", "jsonl"]
    done = subprocess.run(
        command("-", "-", *options), input=source.read_bytes(), env=stack.env, cwd=ROOT, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["label"] for line in done.stdout.splitlines()] == ["Food", "Education"]
    process = subprocess.Popen(
        command("-", "-", *options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=stack.env, cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"text\n" + b"pan\n" * CHUNK_ROWS)  # and then it waits for more
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["label"] == "Food"
    process.send_signal(signal.SIGTERM)
    process.stdout.read()
    assert process.wait(timeout=60) == 130


def test_memory_does_not_grow_with_the_file(stack: Stack, tmp_path: Path) -> None:
    peaks = []
    for chunks in (4, 32):
        source = write_rows(tmp_path / f"{chunks}.csv", ["pan aprende huerto"] * chunks * CHUNK_ROWS)
        process = subprocess.Popen(command(source, tmp_path / f"{chunks}.out.csv"), env=stack.env, cwd=ROOT)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = status
        assert status == 0
        peaks.append(usage.ru_maxrss / 1024)
    assert peaks[1] < peaks[0] + 20, peaks
