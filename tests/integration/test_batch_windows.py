"""A file whose long texts are read in windows: the answers of /classify, and what cannot be read so is said."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.gateways import publish
from tests.integration.scoring import WORDS, read_rows, score, write_rows
from tests.integration.stack import Stack
from tests.version_folders import write_version

TEXTS = ["aprende", "pan " * 30 + "huerto " * 25, "", "huerto " * 14, "pan " * 10 + "aprende " * 12, "pan"]
SETTINGS = {"WINDOW_OVERLAP": "4"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("batch-windows")
    publish(folder / "models", "classifier", write_version(folder / "one", WORDS, weight=0.25))
    with Stack(folder / "models", folder / "log", **SETTINGS) as running:
        yield running


@pytest.mark.parametrize("join", ["mean", "max", "first-last"])
def test_every_row_has_the_answer_of_classify(stack: Stack, tmp_path: Path, join: str) -> None:
    source, output = write_rows(tmp_path / "in.jsonl", TEXTS), tmp_path / "out.jsonl"
    status, said = score(stack, source, output, "--long-text", "windows", "--window-join", join)
    assert status == 0, said
    assert "2 rows had more than the model reads at once: read in windows, none cut." in said
    options = {"long_text": "windows", "window_join": join}
    for text, row in zip(TEXTS, read_rows(output), strict=True):
        if not text:
            assert (row["label"], row["score"]) == (None, None)
            continue
        (answer,) = stack.client.get("/classify", params={"sentence": text, **options}).json()
        assert (row["label"], row["score"]) == (answer["label"], pytest.approx(answer["score"], rel=1e-5))


def test_the_settings_are_the_defaults_and_without_them_texts_are_cut(stack: Stack, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.jsonl", TEXTS)
    windows, said, labels = {"LONG_TEXT": "windows", "WINDOW_JOIN": "first-last"}, {}, {}
    for name, settings in {"cut": {}, "windows": windows}.items():
        status, said[name] = score(stack, source, tmp_path / f"{name}.jsonl", **settings)
        assert status == 0, said[name]
        labels[name] = [row["label"] for row in read_rows(tmp_path / f"{name}.jsonl")]
    assert "2 rows had more than the 16 tokens that the model reads: cut." in said["cut"]
    assert "read in windows" in said["windows"]
    assert (labels["cut"][4], labels["windows"][4]) == ("Food", "Education")
    assert score(stack, source, tmp_path / "as-before.jsonl", "--long-text", "truncate", **windows)[0] == 0
    assert (tmp_path / "as-before.jsonl").read_bytes() == (tmp_path / "cut.jsonl").read_bytes()


def test_a_row_with_too_many_windows_is_named_or_left_out(stack: Stack, tmp_path: Path) -> None:
    source, output = write_rows(tmp_path / "in.csv", TEXTS), tmp_path / "out.csv"
    options = ("--long-text", "windows")
    status, said = score(stack, source, output, *options, MAX_WINDOWS="5")
    assert status == 1
    assert "cannot be read in windows: the text has 6 windows of 16 tokens; at most 5 are taken" in said
    assert "score with --long-text truncate" in said
    status, said = score(stack, source, output, *options, "--on-error", "skip", MAX_WINDOWS="5")
    assert status == 0, said
    assert [row["id"] for row in read_rows(output)] == ["0", "2", "3", "4", "5"]
    (skipped,) = [json.loads(line) for line in Path(f"{output}.skipped.jsonl").read_text().splitlines()]
    assert "has 6 windows" in skipped["error"]
    assert "1 row had more than the model reads at once" in said


def test_a_run_goes_on_only_with_the_same_windows(stack: Stack, tmp_path: Path) -> None:
    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("text\n" + "pan huerto\n" * 5000 + "a,b\n")  # its last row ends the run
    options = ("--long-text", "windows")
    status, said = score(stack, source, output, *options)
    assert (status, "4,096 rows are kept" in said) == (1, True)
    for others, changed in (
        ((), "--long-text"),
        (("--long-text", "windows", "--window-join", "max"), "--window-join"),
    ):
        status, said = score(stack, source, output, *others)
        assert (status, f"{changed} is not what it was" in said) == (2, True), said
    status, said = score(stack, source, output, *options, WINDOW_OVERLAP="2")
    assert (status, "WINDOW_OVERLAP is not what it was" in said) == (2, True), said
    status, said = score(stack, source, output, *options)
    assert (status, "Going on with" in said) == (1, True)


@pytest.mark.parametrize(("option", "words"), [("--long-text", "truncate or windows"), ("--window-join", "first-last")])
def test_another_word_is_refused(stack: Stack, tmp_path: Path, option: str, words: str) -> None:
    status, said = score(stack, write_rows(tmp_path / "in.csv", ["pan"]), tmp_path / "out.csv", option, "other")
    assert (status, words in said) == (2, True)
