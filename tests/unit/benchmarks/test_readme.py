"""The README's figures and those of the page come from a report, and nothing else of the two changes."""

from pathlib import Path

import pytest

from benchmarks.measure.machine import this_machine
from benchmarks.report.readme import (
    BEGIN,
    END,
    PAGE,
    PLOT,
    ReadmeError,
    newest_result,
    one_table,
    with_content,
    write_readme,
)
from benchmarks.report.results import ResultFolder
from benchmarks.report.tables import ResultTable
from tests.places import ROOT

TEXT = f"# Title\n\nBefore.\n\n{BEGIN}\nold figures\n\n{END}\nAfter.\n"
LIMIT = ResultTable(
    "The gateway beside the limit",
    ("", "gateway", "beside it", "that is", "median", "from … to", "target"),
    [
        ["64 connections, GET", "326 /s", "368 /s", "ONNX Runtime alone", "0.80", "0.78 … 0.95", ""],
        ["one connection, p50", "7.34 ms", "4.97 ms", "ONNX Runtime alone", "+2.44 ms", "+1.4 … +2.9", ""],
    ],
    "A note.",
)
ALTERNATIVES = ResultTable(
    "The alternatives beside this server",
    ("", "connections", "answers", "p50, p99 in ms", "× this server", "memory", "not measured"),
    [
        ["this server, fp32", "1", "143/s", "6.7, 13.3", "1", "500 MB", ""],
        ["this server, fp32", "64", "348/s", "172.4", "1", "501 MB", ""],
        ["A | B 2.60", "1", "24/s", "40.9, 71.8", "0.18 (0.18 … 0.19)", "1599 MB", ""],
        ["A | B 2.60", "64", "87/s", "734.9", "0.26 (0.25 … 0.27)", "1599 MB", ""],
        ["TEI cpu-1.8", "", "", "", "", "", "no Docker engine answers"],
    ],
)


def write_result(parent: Path) -> Path:
    result = ResultFolder.create(parent, this_machine())
    result.add("limit", {}, ResultTable("The limit: ONNX Runtime alone", ("batch",), [["one"]]))
    result.add("gateway", {}, LIMIT)
    result.plot_path("load").write_bytes(b"a plot")
    result.add("alternatives", {}, ALTERNATIVES)
    result.add("precision", {}, ResultTable("Precisions", ("", "size"), [["int8", "74 MB"]]))
    return result.folder


@pytest.fixture
def readme(tmp_path: Path) -> Path:
    path = tmp_path / "README.md"
    path.write_text(TEXT)
    page = tmp_path / PAGE
    page.parent.mkdir(parents=True)
    page.write_text(TEXT)
    return path


def between_the_marks(path: Path) -> str:
    text = path.read_text()
    assert text.startswith("# Title\n\nBefore.\n")
    assert text.endswith(f"{END}\nAfter.\n")
    assert "old figures" not in text
    return text.partition(BEGIN)[2].partition(END)[0]


def test_the_page_shows_tables_and_plot_of_the_newest_result(readme: Path, tmp_path: Path) -> None:
    result = write_result(tmp_path / "results")
    (tmp_path / "results" / "9999-empty").mkdir()
    assert newest_result(tmp_path / "results") == result
    write_readme(readme, result)
    text = between_the_marks(tmp_path / PAGE)
    assert this_machine().line in text
    for shown in ("| 326 /s |", "A note.", "| 0.26 (0.25 … 0.27) |", f"]({PLOT})"):
        assert text.count(shown) == 1
    assert text.index("326 /s") < text.index("0.26 (0.25") < text.index("74 MB") < text.index(PLOT)
    assert "ONNX Runtime alone\n" not in text
    assert (tmp_path / PAGE).with_name(PLOT).read_bytes() == b"a plot"
    before = readme.read_text(), (tmp_path / PAGE).read_text()
    write_readme(readme, result)
    assert (readme.read_text(), (tmp_path / PAGE).read_text()) == before


def test_the_readme_shows_one_table_with_this_server_the_limit_and_the_alternatives(
    readme: Path, tmp_path: Path
) -> None:
    write_readme(readme, write_result(tmp_path / "results"))
    text = between_the_marks(readme)
    assert this_machine().line in text
    rows = [line for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == [
        "| this server, the published model | 7.34 ms | 326 /s | 1 |  |",
        "| the limit for it: ONNX Runtime alone | 4.97 ms | 368 /s | 1.25 |  |",
        "| this server, fp32 | 6.7 ms | 348/s | 1 | 501 MB |",
        "| A \\| B 2.60 | 40.9 ms | 87/s | 0.26 | 1599 MB |",
        "| TEI cpu-1.8 | not measured: no Docker engine answers |  |  |  |",
    ]


def test_without_the_alternatives_this_server_stands_beside_the_limit() -> None:
    table = one_table(f"# Benchmarks\n\nA machine\n\n{LIMIT.to_markdown()}")
    rows = table.splitlines()[4:]
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| this server, the published model", "7.34 ms"],
        ["| the limit for it: ONNX Runtime alone", "4.97 ms"],
    ]
    with pytest.raises(ReadmeError, match="make bench"):
        one_table("# Benchmarks\n\nA machine\n\n## Precisions\n\n| a |\n| --- |\n| b |\n")


@pytest.mark.parametrize("text", ["# No marks\n", f"{BEGIN} without an end\n", f"{END} without a beginning\n"])
def test_a_text_without_the_marks_is_left_alone(text: str, readme: Path, tmp_path: Path) -> None:
    with pytest.raises(ReadmeError, match="is missing"):
        with_content(text, "figures")
    result = write_result(tmp_path / "results")
    page = tmp_path / PAGE
    page.write_text(text)
    with pytest.raises(ReadmeError, match=rf"{page.name} lacks"):
        write_readme(readme, result)
    assert readme.read_text() == TEXT
    assert page.read_text() == text


def test_without_a_result_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ReadmeError, match="make bench"):
        newest_result(tmp_path)
    with pytest.raises(ReadmeError, match=r"report\.md"):
        write_readme(tmp_path / "README.md", tmp_path)


def test_the_readme_and_the_page_of_this_project_have_the_marks() -> None:
    for path in (ROOT / "README.md", ROOT / PAGE):
        with_content(path.read_text(encoding="utf-8"), "figures")
