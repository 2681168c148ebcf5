"""The README's table of figures and the page with all tables: none of them is written by hand."""

import re
import shutil
from pathlib import Path

PAGE = Path("docs", "guides", "how-fast.md")
"""The page with the tables in full, from the README's folder."""
BEGIN, END = "<!-- benchmarks: written by `python -m benchmarks readme` -->\n", "<!-- end of benchmarks -->\n"
LIMIT, ALTERNATIVES = "The gateway beside the limit", "The alternatives beside this server"
SHOWN = (LIMIT, ALTERNATIVES, "Precisions")
"""The tables of a report that the page shows, in this order; the others stay in the report."""
COLUMNS = ("", "1 connection, p50", "64 connections", "× this server", "memory")
PLOT = "load.png"

_CELL = re.compile(r"(?<!\\)\|")

Row = dict[str, str]


class ReadmeError(ValueError):
    """There is no result to show, or no place for it; the message says which."""


def newest_result(results: Path) -> Path:
    """The last folder with a report.

    Raises:
        ReadmeError: there is none.
    """
    found = sorted(path.parent for path in results.glob("*/report.md"))
    if not found:
        raise ReadmeError(f"{results} holds no result: run `make bench` first")
    return found[-1]


def write_readme(readme: Path, result: Path) -> None:
    """Put the one table between the two marks of `readme`, and all tables and the plot into the page below it.

    Raises:
        ReadmeError: `result` holds no report or no figures, or a file lacks the marks.
    """
    page = readme.parent / PAGE
    try:
        report = (result / "report.md").read_text(encoding="utf-8")
    except OSError:
        raise ReadmeError(f"{result} holds no report.md") from None
    has_plot = (result / PLOT).is_file()
    texts = {}
    for path, content in ((readme, one_table(report)), (page, all_tables(report, has_plot))):
        try:
            texts[path] = with_content(path.read_text(encoding="utf-8"), content)
        except (OSError, ReadmeError) as error:
            raise ReadmeError(f"{path.name} lacks {BEGIN.strip()} or {END.strip()}") from error
    if has_plot:
        shutil.copyfile(result / PLOT, page.with_name(PLOT))
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")


def with_content(text: str, content: str) -> str:
    """A file's text with what is between its two marks replaced.

    Raises:
        ReadmeError: the marks are missing.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ReadmeError(f"{BEGIN.strip()} or {END.strip()} is missing")
    return f"{head}{BEGIN}\n{content}\n\n{END}{tail}"


def all_tables(report: str, has_plot: bool) -> str:
    """The tables of a report in Markdown that the page shows, whole, under the machine that they were measured on."""
    tables = _tables(report)
    shown = [f"{_title(report)}."]
    for name in SHOWN:
        if name in tables:
            # A plot that follows the table in the report belongs to the report.
            lines = [line for line in tables[name].splitlines() if not line.startswith("![")]
            shown.append("### " + "\n".join(lines).strip())
    if has_plot:
        shown.append(f"![Latency of the gateway against the load]({PLOT})")
    return "\n\n".join(shown)


def one_table(report: str) -> str:
    """This server, the limit for it and the alternatives in a row each, from a report in Markdown.

    Raises:
        ReadmeError: the report holds neither of the two tables.
    """
    tables = _tables(report)
    rows = [*_alternatives(tables.get(ALTERNATIVES, ""))]
    limits = {row[""]: row for row in _rows(tables.get(LIMIT, ""))}
    if not rows and not limits:
        raise ReadmeError(f"the result holds neither {LIMIT!r} nor {ALTERNATIVES!r}: run `make bench`")
    alone, busy = limits.get("one connection, p50"), limits.get("64 connections, GET")
    if alone and busy:
        # The published model may be in int8; what the alternatives serve, and this server beside them, never is.
        times = f"{1 / float(busy['median']):.2f}"
        rows = [
            ["this server, the published model", alone["gateway"], busy["gateway"], "1", ""],
            ["the limit for it: ONNX Runtime alone", alone["beside it"], busy["beside it"], times, ""],
            *rows,
        ]
    lines = [_line(COLUMNS), "|" + " --- |" * len(COLUMNS), *map(_line, rows)]
    return f"{_title(report)}.\n\n" + "\n".join(lines)


def _alternatives(table: str) -> list[list[str]]:
    """A row for each server: the median latency of one caller, and the answers to 64 of them."""
    servers: dict[str, dict[str, Row]] = {}
    for row in _rows(table):
        servers.setdefault(row[""], {})[row["connections"]] = row
    found = []
    for name, loads in servers.items():
        alone, busy, reason = loads.get("1"), loads.get("64"), loads.get("")
        if reason:
            found.append([name, f"not measured: {reason['not measured']}", "", "", ""])
        elif alone and busy:
            p50 = alone["p50, p99 in ms"].partition(",")[0]
            ratio = busy["× this server"].partition(" ")[0]
            found.append([name, f"{p50} ms", busy["answers"], ratio, busy["memory"]])
    return found


def _title(report: str) -> str:
    opening = report.partition("\n## ")[0]
    title, _, machine = opening.partition("\n")
    return f"{title.removeprefix('# ')}, on {' '.join(machine.split())}"


def _tables(report: str) -> dict[str, str]:
    """The parts of a report by their headings."""
    return {part.partition("\n")[0]: part for part in report.split("\n## ")[1:]}


def _rows(table: str) -> list[Row]:
    """The rows of a table in Markdown, each cell by its column's name."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in _CELL.split(line)[1:-1]] for line in lines]
    return [dict(zip(cells[0], row, strict=True)) for row in cells[2:]]


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
