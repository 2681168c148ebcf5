"""A tiny checkpoint with sentences to compare on, exported as a user does it."""

from pathlib import Path

from typer.testing import CliRunner

from export.__main__ import app
from repository.manifest import Manifest
from tests.tiny_models import write_classifier

LABELS = ["Business", "Education", "Life"]
WORDS = ["learn", "spanish", "budget", "plan", "doctor", "family", "market", "school", "recipe", "trip", "invoice"]
TEXTS = [" ".join(WORDS[(i * k) % len(WORDS)] for k in range(1, 2 + i % 9)) for i in range(60)]


def write_source(folder: Path) -> Path:
    """A checkpoint, `classifier`, and `sentences.txt` in a folder."""
    (folder / "sentences.txt").write_text("\n".join(TEXTS))
    write_classifier(folder / "classifier", LABELS)
    return folder


def export(folder: Path, output: Path, *options: str) -> Manifest:
    """Export what `write_source` wrote, in fp32 unless other options are given."""
    arguments = [str(folder / "classifier"), "--output", str(output), "--precision", "fp32", *options]
    if "--data" not in options:
        arguments += ["--data", str(folder / "sentences.txt")]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Manifest.read(output)


def write_labelled(path: Path) -> Path:
    """A table of mind maps with the checkpoint's labels."""
    rows = [f"{i},map {i},{LABELS[i % 3]},{i},,{' '.join(WORDS[: 1 + i % 9])} {i},en" for i in range(60)]
    columns = "map_id,map_title,map_category_name,idea_id,idea_parent_id,idea_title,language"
    path.write_text("\n".join([columns, *rows]))
    return path
