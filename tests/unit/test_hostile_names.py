"""Every command takes names with brackets, line breaks, changes of direction and 300 characters, and prints them."""

import csv
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

import benchmarks.__main__
import export.__main__
import repository.__main__
import training.__main__
from benchmarks.report.tables import ResultTable
from gateway.batcher import Batcher, BatchLimits
from gateway.files import LocalFiles
from gateway.metrics import Metrics, ModelState
from gateway.triton import TritonClient
from gateway.versions import VersionFollower
from repository.manifest import Manifest
from repository.names import visible
from tests.places import ROOT as REPOSITORY
from tests.tiny_models import write_encoder
from tests.version_folders import write_version

LABELS = ["Ops [/api]", "[/]", "[red]", "]:smile:[", "$a|`b`$ <b>*c*</b>", "日" * 300]
LANGUAGES = ["[/en]", "es\u202e", "\x1b[31mfr"]
FOLDER = "[v1] [/x] [red]\n\t\u202e\x1b[2J\x07"
LONG = "[/long]" + "x" * 200
WIDTH = 100


def run(app: object, *arguments: str | Path, status: int = 0) -> str:
    """What a command prints; nothing of it may act on a terminal or stand past its edge in a table."""
    result = CliRunner(env={"COLUMNS": str(WIDTH)}).invoke(app, list(map(str, arguments)))  # type: ignore[arg-type]
    assert result.exit_code == status, (result.output, result.exception)
    return harmless(result.output)


def run_process(module: str, *arguments: str, **settings: str) -> str:
    """What a process of its own prints that cannot do what it is asked."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env={**os.environ, **settings}, cwd=REPOSITORY, capture_output=True, timeout=120)
    assert done.returncode == 2, done
    assert b"Traceback" not in done.stderr
    return harmless((done.stdout + done.stderr).decode())


def harmless(text: str) -> str:
    for line in text.split("\n"):
        assert line.isprintable(), repr(line)
        if line[:1] in ("│", "┃", "┡"):
            assert len(line) <= WIDTH, line
    return text


def write_maps(path: Path, labels: Sequence[str]) -> Path:
    path.parent.mkdir()
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["map_id", "map_title", "map_category_name", "idea_title", "language"])
        for place, label in enumerate(labels):
            for number in range(5):
                rows = [
                    (f"{place}-{number}", f"map {place} {number}", label, f"idea [/x] {place} {number} {idea}")
                    for idea in range(2)
                ]
                writer.writerows([*row, LANGUAGES[number % 3]] for row in rows)
    return path


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_encoder(tmp_path_factory.mktemp("names") / FOLDER / "[/base]")
    for file in ("tokenizer.json", "vocab.txt"):
        content = (folder / file).read_text()
        (folder / file).write_text(content.replace("[unused10]", "[/INST]").replace("[unused11]", "[red]"))
    return folder


@pytest.fixture(scope="module")
def data(base: Path) -> Path:
    return write_maps(base.parent / "[/maps].csv", LABELS)


@pytest.fixture(scope="module")
def trained(base: Path, data: Path) -> tuple[Path, str]:
    """A checkpoint, and what training printed."""
    output = base.parent / "m[/old]"
    options = ("--base-model", base, "--data", data, "--output", output, "--max-steps", "1", "--no-baseline")
    return output, run(training.__main__.app, *options)


@pytest.fixture(scope="module")
def exported(trained: tuple[Path, str], data: Path) -> tuple[Path, str]:
    """A version folder, and what the export printed."""
    output = trained[0].parent / "[/version]"
    options = ("--output", output, "--data", data, "--precision", "fp32", "--force")
    return output, run(export.__main__.app, trained[0], *options)


def test_training_shows_classes_languages_and_paths_as_they_are(trained: tuple[Path, str]) -> None:
    output, shown = trained
    assert f"Checkpoint: {visible(str(output))} (" in shown
    assert "Ops [/api]" in shown
    assert "[/en]" in shown
    assert r"es\u202e" in shown


def test_labels_reach_the_version_that_is_served_unchanged(exported: tuple[Path, str]) -> None:
    folder, shown = exported
    assert Manifest.read(folder).labels == sorted(LABELS)
    assert "[/INST]" in (folder / "tokenizer.json").read_text()
    assert f"written to {visible(str(folder))}" in shown


def test_inspect_and_diff_show_labels_and_paths_as_they_are(exported: tuple[Path, str], data: Path) -> None:
    folder, _ = exported
    assert "Ops [/api]" in run(export.__main__.app, "inspect", folder)
    contents = json.loads(run(export.__main__.app, "inspect", folder, "--json"))
    assert contents["folder"] == str(folder)
    assert contents["manifest"]["labels"] == sorted(LABELS)
    other = write_version(folder.parent / LONG, {f"w{place}": label for place, label in enumerate(LABELS)})
    assert "[/x]" in run(export.__main__.app, "diff", folder, other, "--data", data)
    assert json.loads(run(export.__main__.app, "diff", folder, other, "--data", data, "--json"))["b"] == str(other)


def test_the_repositorys_commands_show_places_and_sources_as_they_are(exported: tuple[Path, str]) -> None:
    place = exported[0].parent / f"[/models]{FOLDER}"
    command = repository.__main__.app
    assert visible(f"{place}/classifier holds no version") in run(command, "list", "--repository", place)
    for number, words in enumerate(({"cat": "[/a]", "oak": "[b]"}, {"cat": "[b]", "oak": "[/a]"}), start=1):
        folder = write_version(exported[0].parent / f"{LONG}{number}", words)
        manifest = Manifest.read(folder).model_copy(update={"source": f"[/s]{FOLDER}", "forced": ["[/forced]\n"]})
        manifest.write(folder)
        assert f"Published version {number}" in run(command, "publish", folder, "--to", place)
    assert "[/s]" in (shown := run(command, "list", "--repository", place))
    assert r"Version 2 was forced: [/forced]\n" in shown
    assert "version 1: good" in run(command, "verify", "--repository", place)
    assert "Pinned version 1" in run(command, "pin", "1", "--repository", place)
    assert "is served again" in run(command, "unpin", "--repository", place)
    assert "the content of version 1" in run(command, "rollback", "--repository", place)
    (place / "classifier" / "3" / "manifest.json").write_text('{"[/x]\\u202e": 1}')
    assert "[/x]" in run(command, "list", "--repository", place)
    assert "version 3: " in run(command, "verify", "3", "--repository", place, status=1)


@pytest.mark.parametrize(
    ("module", "arguments", "settings"),
    [
        ("export", ["inspect", FOLDER], {}),
        ("training", ["--data", FOLDER], {}),
        ("repository", ["rollback", "--repository", FOLDER], {}),
        ("repository", ["list"], {"MODEL_NAME": FOLDER}),
        ("benchmarks", ["readme", FOLDER], {}),
        ("launcher.publish", [], {"CHECKPOINT": FOLDER, "DATA": FOLDER, "MODEL_REPOSITORY": "/dev/null/[/x]"}),
        ("server", ["check"], {"TRITON_PYTHON": FOLDER}),
        ("gateway", [], {"MODEL_NAME": FOLDER}),
    ],
)
def test_a_mistake_is_told_on_lines_that_no_name_breaks(
    module: str, arguments: list[str], settings: dict[str, str]
) -> None:
    assert run_process(module, *arguments, **settings)


@pytest.mark.parametrize("cell", [*LABELS, *LANGUAGES, FOLDER, "a\\|b", "![x](y)", "&lt;"])
def test_a_result_is_one_row_on_the_screen_in_markdown_and_in_html(
    cell: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = ResultTable("A result", ["name", "figure"], [[cell, "1"]])
    benchmarks.__main__.out.table(table.to_rich())
    harmless(capsys.readouterr().out)
    for text in (table.to_html(), MarkdownIt().enable("table").render(harmless(table.to_markdown()))):
        assert re.findall("<td>(.*?)</td>", harmless(text)) == [html.escape(visible(cell)), "1"]


def test_a_reason_in_the_metrics_is_read_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    triton = TritonClient.__new__(TritonClient)  # asked for nothing
    versions, metrics = VersionFollower(triton, LocalFiles(tmp_path), 1.0), Metrics()
    limits = BatchLimits(calls=1, tokens=1, sentences=1, waiting=1, deadline_s=1.0)
    reason = f'"[/x]" {FOLDER}\udcff\\'
    monkeypatch.setattr(versions, "failures", lambda: {7: reason})
    batcher = Batcher(triton.infer, limits, metrics.of("tiny"))
    text = metrics.render([ModelState("tiny", versions, batcher)]).decode()
    (found,) = [family for family in text_string_to_metric_families(text) if family.name == "classifier_failed_version"]
    assert found.samples[0].labels == {"model": "tiny", "version": "7", "reason": visible(reason)}
