"""The README's figures: tables and plot of a result, so that none of them is written by hand."""

import shutil
from pathlib import Path

BEGIN, END = "<!-- benchmarks: written by `python -m benchmarks readme` -->\n", "<!-- end of benchmarks -->\n"
# The tables of a report that the README shows, in this order; the others stay in the report.
SHOWN = ("The gateway beside the limit", "The alternatives beside this server", "Precisions")
PLOT = "load.png"


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
    """Put the result between the two marks of `readme`, and its plot into `docs` beside it.

    Raises:
        ReadmeError: `result` holds no report, or `readme` lacks the marks.
    """
    try:
        report = (result / "report.md").read_text(encoding="utf-8")
    except OSError:
        raise ReadmeError(f"{result} holds no report.md") from None
    plot = None
    if (result / PLOT).is_file():
        plot = readme.parent / "docs" / PLOT
        plot.parent.mkdir(exist_ok=True)
        shutil.copyfile(result / PLOT, plot)
    if not readme.is_file():
        raise ReadmeError(f"{readme} is not there: only a checkout has one")
    readme.write_text(with_result(readme.read_text(encoding="utf-8"), report, plot is not None), encoding="utf-8")


def with_result(text: str, report: str, has_plot: bool) -> str:
    """The README's text with what is between its two marks renewed from a report in Markdown.

    Raises:
        ReadmeError: the marks are missing.
    """
    head, begin, rest = text.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise ReadmeError(f"README.md lacks {BEGIN.strip()} or {END.strip()}")
    opening, *parts = report.split("\n## ")
    title, _, machine = opening.partition("\n")
    tables = {part.partition("\n")[0]: part for part in parts}
    shown = [f"{title.removeprefix('# ')}, on {' '.join(machine.split())}."]
    for name in SHOWN:
        if name in tables:
            # A plot that follows the table in the report belongs to the report.
            lines = [line for line in tables[name].splitlines() if not line.startswith("![")]
            shown.append("### " + "\n".join(lines).strip())
    if has_plot:
        shown.append(f"![Latency of the gateway against the load](docs/{PLOT})")
    return f"{head}{BEGIN}\n" + "\n\n".join(shown) + f"\n\n{END}{tail}"
