"""The README's figures come from a report, whole, and nothing else of the README changes."""

from pathlib import Path

import pytest

from benchmarks.measure.machine import this_machine
from benchmarks.report.readme import BEGIN, END, PLOT, ReadmeError, newest_result, with_result, write_readme
from benchmarks.report.results import ResultFolder
from benchmarks.report.tables import ResultTable

TEXT = f"# Title\n\nBefore.\n\n{BEGIN}\nold figures\n\n{END}\nAfter.\n"


def write_result(parent: Path) -> Path:
    result = ResultFolder.create(parent, this_machine())
    result.add("limit", {}, ResultTable("The limit: ONNX Runtime alone", ("batch",), [["one"]]))
    result.add("gateway", {}, ResultTable("The gateway beside the limit", ("gateway",), [["349/s"]], "A note."))
    result.plot_path("load").write_bytes(b"a plot")
    result.add("precision", {}, ResultTable("Precisions", ("", "size"), [["int8", "74 MB"]]))
    return result.folder


def test_tables_and_plot_of_the_newest_result_take_the_place_of_the_old_ones(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(TEXT)
    result = write_result(tmp_path / "results")
    (tmp_path / "results" / "9999-empty").mkdir()
    assert newest_result(tmp_path / "results") == result
    write_readme(readme, result)
    text = readme.read_text()
    assert text.startswith("# Title\n\nBefore.\n")
    assert text.endswith(f"{END}\nAfter.\n")
    assert "old figures" not in text
    assert "| 349/s |" in text
    assert "A note." in text
    assert text.index("349/s") < text.index("74 MB")
    assert this_machine().line in text
    assert "one" not in text.partition(BEGIN)[2].partition(END)[0].split(this_machine().line)[1]
    assert text.count("](docs/load.png)") == 1
    assert "](load.png)" not in text
    assert (tmp_path / "docs" / PLOT).read_bytes() == b"a plot"
    write_readme(readme, result)
    assert readme.read_text() == text


@pytest.mark.parametrize("text", ["# No marks\n", f"{BEGIN} without an end\n", f"{END} without a beginning\n"])
def test_a_readme_without_the_marks_is_left_alone(text: str) -> None:
    with pytest.raises(ReadmeError, match=r"README\.md lacks"):
        with_result(text, "# Report\n", False)


def test_without_a_result_it_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ReadmeError, match="make bench"):
        newest_result(tmp_path)
    with pytest.raises(ReadmeError, match=r"report\.md"):
        write_readme(tmp_path / "README.md", tmp_path)
