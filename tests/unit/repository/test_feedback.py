"""Feedback is read from any files of a folder; of several words on an answer the last one counts."""

from pathlib import Path

import pytest

from repository.feedback import FeedbackLine, read_feedback
from repository.manifest import RepositoryError


def line(request_id: str, right: list[str] | float, at: float = 0.0, model: str = "m", **more: object) -> bytes:
    fields = {"time": at, "model": model, "version": 1, "id": request_id, "answered": ["a"], "right": right, **more}
    return FeedbackLine.model_validate(fields).encoded()


def test_the_last_word_counts_whichever_file_it_is_in(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "feedback-1.jsonl").write_bytes(line("x", ["late"], 2) + line("y", 1.5, 1))
    (tmp_path / "m" / "feedback-2.jsonl").write_bytes(line("x", ["early"], 1) + line("x", ["other"], 1, index=1))
    (tmp_path / "m" / "notes.jsonl").write_bytes(line("z", ["not feedback"]))
    read = read_feedback(tmp_path)
    assert [(one.id, one.index, one.right) for one in read.lines] == [
        ("y", 0, 1.5),
        ("x", 1, ["other"]),
        ("x", 0, ["late"]),
    ]


def test_half_a_line_is_counted_and_hides_no_other(tmp_path: Path) -> None:
    whole = line("x", ["a"], sentence='ein Tisch\u2028 und "mehr"')
    (tmp_path / "feedback-1.jsonl").write_bytes(whole[:40] + b"\n" + whole + b"\n{}\n")
    read = read_feedback(tmp_path)
    assert [one.sentence for one in read.lines] == ['ein Tisch\u2028 und "mehr"']
    assert read.broken == 2


def test_what_cannot_be_used_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(RepositoryError, match="is no folder"):
        read_feedback(tmp_path / "none")
    with pytest.raises(RepositoryError, match="holds no feedback-"):
        read_feedback(tmp_path)
    (tmp_path / "feedback-1.jsonl").write_bytes(line("x", ["a"]) + line("y", ["a"], model="other"))
    with pytest.raises(RepositoryError, match="feedback on m, other: name the folder of one"):
        read_feedback(tmp_path)
