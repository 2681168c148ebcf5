"""Label names that a person gives: a list on the command line, or a file of one a line or of JSON."""

import csv
import json
import os
from pathlib import Path
from typing import Any

from export import ExportError


def read_labels(given: str) -> list[str]:
    """Names in the order of the logits.

    Args:
        given: names with commas between them (quoted as in CSV where a name has one), or the path of a file: a name a
            line, a JSON list of names, or JSON with a name for each number, as `id2label` in a config.json.

    Raises:
        ExportError: the file is not there or is none of these, or a name is empty.
    """
    path = Path(given)
    if path.is_file():
        names = _in_file(path)
    elif os.sep in given or path.suffix.lower() in (".txt", ".json"):
        raise ExportError(f"--labels {given}: there is no such file")
    else:
        names = [name.strip() for name in next(csv.reader([given], skipinitialspace=True), [])]
    if not names or not all(names):
        raise ExportError(f"--labels {given}: name every label, with commas between the names")
    return names


def _in_file(path: Path) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportError(f"--labels {path} cannot be read as UTF-8 text: {error}") from None
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        if path.suffix.lower() == ".json":
            raise ExportError(f"--labels {path} cannot be read as JSON: {error}") from None
        content = None
    if isinstance(content, list | dict):
        return _ordered(path, content)
    # By line feeds alone: what else Python takes for a line's end may stand in a name, and is refused there.
    return [line.strip() for line in text.replace("\r\n", "\n").rstrip("\n").split("\n")]


def _ordered(path: Path, content: Any) -> list[str]:
    if isinstance(content, dict) and isinstance(content.get("id2label"), dict):
        content = content["id2label"]
    if isinstance(content, dict):
        try:
            numbered = {int(number): name for number, name in content.items()}
        except ValueError:
            numbered = {}
        if sorted(numbered) != list(range(len(content))):
            raise ExportError(f"--labels {path} must give a name for each number from 0, or a list of names")
        content = [numbered[number] for number in range(len(numbered))]
    if not isinstance(content, list) or not all(isinstance(name, str) for name in content):
        raise ExportError(f"--labels {path} must hold a list of names, or a name for each number from 0")
    return [name.strip() for name in content]
