"""`python -m launcher.reference`: writes the pages of docs/reference that follow from the code."""

from collections.abc import Callable
from pathlib import Path

from launcher.reference.command_line import command_line_page
from launcher.reference.http_api import http_api_page
from launcher.reference.manifest import manifest_page
from launcher.reference.metrics import metrics_page
from launcher.reference.settings import settings_page
from repository.console import Console

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"
PAGES: dict[str, Callable[[], str]] = {
    "command-line.md": command_line_page,
    "http-api.md": http_api_page,
    "manifest.md": manifest_page,
    "metrics.md": metrics_page,
    "settings.md": settings_page,
}
"""What makes the text of each page; the same code gives the same text."""


def write_pages(folder: Path = FOLDER) -> list[Path]:
    """Write every page of PAGES into the folder; the files that are other than before."""
    changed = []
    folder.mkdir(parents=True, exist_ok=True)
    for name, text_of in PAGES.items():
        path, text = folder / name, text_of()
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    out = Console()
    for written in write_pages():
        out.print(f"Wrote {written}.")
