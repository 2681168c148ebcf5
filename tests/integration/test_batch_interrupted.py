"""Scoring a file: no row is lost or there twice, whatever stops the run, and it needs no more memory for more rows."""

import json
import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.batch.rows import CHUNK_ROWS
from tests.integration.gateways import publish
from tests.integration.scoring import WORDS, command, read_rows, score, write_rows
from tests.integration.stack import ROOT, Stack
from tests.version_folders import write_version
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("batch")
    publish(folder / "models", "classifier", write_version(folder / "one", WORDS, golden=["pan"]))
    with Stack(folder / "models", folder / "log") as running:
        yield running


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
def test_a_run_that_is_told_to_end_says_how_to_go_on(stack: Stack, tmp_path: Path, number: signal.Signals) -> None:
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
    assert "is not what it was" in score(stack, source, output, "--all-labels")[1]
    assert "begun with version 1" in score(stack, source, output, "--version", 7)[1]
    with source.open("a") as stream:
        stream.write("more,pan,\n")
    assert "not as it was" in score(stack, source, output)[1]
    assert json.loads(journal.read_text())["counts"]["rows"] == kept
    write_rows(source, ["pan"])
    assert score(stack, source, output, "--restart")[0] == 0
    assert len(read_rows(output)) == 1
    assert "is there already" in score(stack, source, output)[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_table_that_is_converted_at_the_end_can_be_interrupted(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    def converting(*_: Path) -> None:
        signal.raise_signal(number)
        raise AssertionError("it went on")

    source, output = write_rows(tmp_path / "in.csv", ["pan", "aprende"]), tmp_path / "out.parquet"
    with monkeypatch.context() as patch:
        patch.setattr("gateway.batch.run.write_parquet", converting)
        status, said = score(stack, source, output)
    assert (status, output.exists()) == (130, False), said
    assert said.splitlines()[-1].endswith("2 rows are kept; the same command goes on from there.")
    assert score(stack, source, output)[0] == 0
    assert [row["label"] for row in read_rows(output)] == ["Food", "Education"]


def test_a_full_disk_is_one_line_and_the_run_goes_on_once_there_is_room(stack: Stack, tmp_path: Path) -> None:
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
    assert score(stack, source, output)[0] == 0
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
