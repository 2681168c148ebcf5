"""A checkpoint takes the place of an older one whole or not at all, and the one it was trained from can be kept."""

from pathlib import Path
from typing import Any

import pytest

from training.commands.output import whole_or_nothing

FILE = "training_report.json"


def write(folder: Path, content: str) -> Path:
    folder.mkdir()
    (folder / FILE).write_text(content)
    return folder


def contents(place: Path) -> dict[str, str]:
    """What lies there, by name."""
    return {folder.name: (folder / FILE).read_text() for folder in place.iterdir()}


def test_the_one_before_is_kept_in_place_of_the_one_before_that(tmp_path: Path) -> None:
    output, kept = write(tmp_path / "classifier", "first"), tmp_path / "classifier.before"
    for content in ("second", "third"):
        with whole_or_nothing(output, kept) as work:
            (work / "checkpoint" / FILE).write_text(content)
    assert contents(tmp_path) == {"classifier": "third", "classifier.before": "second"}


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("place", [1, 2, 3])
def test_interrupted_at_any_rename_nothing_is_lost(
    place: int, renamed: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, kept = write(tmp_path / "classifier", "start"), write(tmp_path / "classifier.before", "older")
    rename, calls = Path.rename, []

    def interrupted(path: Path, target: Any) -> Path:
        calls.append(path)
        if len(calls) != place:
            return rename(path, target)
        if renamed:
            rename(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), whole_or_nothing(output, kept) as work:
        (work / "checkpoint" / FILE).write_text("new")
    done = place == 3 and renamed
    assert contents(tmp_path) == {
        "classifier": "new" if done else "start",
        "classifier.before": "start" if done else "older",
    }
