"""A folder of results, written as they come: raw JSON, a Markdown report, PNG plots and one HTML page."""

import base64
import html
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure.machine import Machine
from benchmarks.report.tables import ResultTable
from repository.strict_json import strict_json

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;padding:.3rem .6rem;text-align:left}"
    "img{max-width:100%}"
)


@dataclass
class ResultFolder:
    """`benchmarks/results/<date>/`; what was measured is on disk before the next measurement begins."""

    folder: Path
    machine: Machine
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    _raw: dict[str, Any] = field(default_factory=dict)
    _parts: list[ResultTable | Path] = field(default_factory=list)

    @classmethod
    def create(cls, parent: Path, machine: Machine) -> "ResultFolder":
        """A new folder, named by date and time."""
        started = datetime.now(UTC)
        folder = parent / started.strftime("%Y-%m-%d-%H%M%S")
        folder.mkdir(parents=True)
        return cls(folder, machine, started)

    def add(self, name: str, raw: Any, table: ResultTable) -> None:
        """Keep the raw figures of one measurement and the table that shows them."""
        self._raw[name] = raw
        self._parts.append(table)
        self.write()

    def plot_path(self, name: str) -> Path:
        """Where a plot is to be written; it is shown after the tables so far."""
        path = self.folder / f"{name}.png"
        self._parts.append(path)
        return path

    def write(self) -> None:
        """Write all files anew."""
        head = {"started": self.started.isoformat(), "machine": self.machine.as_dict()}
        (self.folder / "results.json").write_text(strict_json({**head, **self._raw}, indent=2) + "\n")
        title = f"Benchmarks of {self.started:%Y-%m-%d %H:%M} UTC"
        (self.folder / "report.md").write_text(self._markdown(title), encoding="utf-8")
        (self.folder / "report.html").write_text(self._html(title), encoding="utf-8")

    def _markdown(self, title: str) -> str:
        parts = [f"# {title}\n\n{self.machine.line}\n"]
        for part in self._parts:
            parts.append(part.to_markdown() if isinstance(part, ResultTable) else f"![{part.stem}]({part.name})\n")
        return "\n".join(parts)

    def _html(self, title: str) -> str:
        body = "".join(_html_part(part) for part in self._parts)
        head = f"<meta charset='utf-8'><title>{html.escape(title)}</title><style>{STYLE}</style>"
        return (
            f"<!doctype html><html lang='en'><head>{head}</head><body><h1>{html.escape(title)}</h1>"
            f"<p>{html.escape(self.machine.line)}</p>{body}</body></html>\n"
        )


def _html_part(part: ResultTable | Path) -> str:
    if isinstance(part, ResultTable):
        return part.to_html()
    if not part.is_file():
        return ""
    image = base64.b64encode(part.read_bytes()).decode()
    return f"<img alt='{html.escape(part.stem)}' src='data:image/png;base64,{image}'>"
