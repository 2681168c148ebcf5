"""Answers are remembered up to a number and an age; feedback to one counts once."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from gateway.feedback.answer_log import ANSWERS_FILE, AnswerLog, KnownAnswer, KnownVersion
from gateway.feedback.figures import accuracy_of
from repository.manifest import ProblemType

VERSION = KnownVersion(3, ["a", "b"], ProblemType.SINGLE_LABEL)


def answer(request_id: str, place: int = 0, sentence: str | None = None) -> KnownAnswer:
    return KnownAnswer(request_id, place, 3, ["a"], 0.9, sentence)


def known(log: AnswerLog, request_id: str) -> int:
    with log.giving(request_id) as giving:
        return giving.sentences()


def test_the_last_so_many_are_remembered(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path, most=5, days=1)
    for number in range(4):
        log.add([answer(f"{number}", place) for place in range(2)], [VERSION])
    assert [known(log, f"{number}") for number in range(4)] == [0, 2, 2, 2]
    assert log.figures()[0].answers == 5


def test_the_same_id_stands_for_the_newer_answer(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path, most=5, days=1)
    log.add([answer("x", sentence="old"), answer("x", 1)], [VERSION])
    with log.giving("x") as giving:
        giving.note(0, ["b"], False, None)
    log.add([answer("x", sentence="new")], [VERSION])
    with log.giving("x") as giving:
        found = giving.answer(0)
        assert giving.sentences() == 1
    assert found is not None
    assert found.sentence == "new"
    (figures,) = log.figures()
    assert (figures.answers, figures.given) == (1, 0)


def test_what_is_too_old_goes_and_its_sentence_is_nowhere_in_the_file(tmp_path: Path) -> None:
    log = AnswerLog(tmp_path, most=100, days=1)
    log.add([answer("x", sentence="a very private sentence")], [VERSION])
    other = sqlite3.connect(tmp_path / ANSWERS_FILE)
    other.execute("UPDATE answers SET time = time - 90000")
    other.commit()
    other.close()
    log.forget_old()
    assert known(log, "x") == 0
    log.close()
    left = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"very private" not in left


def test_a_restart_finds_them_and_a_failed_word_changes_nothing(tmp_path: Path) -> None:
    first = AnswerLog(tmp_path, most=5, days=1)
    first.add([answer("x")], [VERSION])
    first.close()
    log = AnswerLog(tmp_path, most=5, days=1)
    with contextlib.suppress(OSError), log.giving("x") as giving:
        giving.note(0, ["b"], False, None)
        raise OSError("the disk is full")
    assert log.figures()[0].given == 0
    with log.giving("x") as giving:
        assert giving.version(3) == VERSION
        assert giving.given(0) is None
        giving.note(0, ["b"], False, None)
        assert giving.given(0) == ["b"]
        giving.note(0, ["a"], True, None)
    (figures,) = log.figures()
    assert (figures.given, figures.right) == (1, 1)


@pytest.mark.parametrize(
    ("right", "given", "lower", "upper"), [(81, 263, 0.2527, 0.3676), (0, 20, 0.0, 0.1684), (20, 20, 0.8316, 1.0)]
)
def test_the_interval_is_clopper_and_pearson_s(right: int, given: int, lower: float, upper: float) -> None:
    """The first is an example of R. G. Newcombe, Statistics in Medicine 17 (1998); SciPy gives the same."""
    found = accuracy_of(right, given)
    assert found is not None
    assert (round(found.lower, 4), round(found.upper, 4)) == (lower, upper)
    assert accuracy_of(0, 0) is None
