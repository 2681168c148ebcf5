"""Lines of several writers never mix, whatever stops them, and the folder stays below its bound."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import FeedbackFullError
from gateway.feedback.files import FeedbackFiles
from tests.places import ROOT

WRITERS, LINES = 6, 200
WRITER = """
import json, sys
from pathlib import Path
from gateway.feedback.files import FeedbackFiles
files = FeedbackFiles(Path(sys.argv[1]), 50_000_000, False)
for number in range({lines}):
    files.append(json.dumps([sys.argv[2], number, "x" * (number % 50 * 200)]).encode() + b"\\n")
    if number % 20 == 19:
        files.let_go()
"""


def test_lines_of_many_processes_are_whole_and_none_is_missing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER.format(lines=LINES), str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)], cwd=ROOT) for number in range(WRITERS)]
    assert [writer.wait(120) for writer in writers] == [0] * WRITERS
    found = [json.loads(line) for path in tmp_path.iterdir() for line in path.read_text().splitlines()]
    assert sorted((int(name), number) for name, number, _ in found) == [
        (writer, number) for writer in range(WRITERS) for number in range(LINES)
    ]
    assert len(list(tmp_path.iterdir())) <= WRITERS + 1, "files that nobody holds are gone on with"


def test_half_a_line_of_a_writer_that_was_killed_is_ended(tmp_path: Path) -> None:
    (tmp_path / "feedback-old.jsonl").write_bytes(b'{"half": ')
    files = FeedbackFiles(tmp_path, 1000, True)
    files.append(b"{}\n")
    assert (tmp_path / "feedback-old.jsonl").read_bytes() == b'{"half": \n{}\n'


def test_a_large_file_is_followed_by_another_and_all_of_them_are_bounded(tmp_path: Path) -> None:
    files = FeedbackFiles(tmp_path, 800, False)
    line = b"x" * 39 + b"\n"
    for _ in range(20):
        files.append(line)
    with pytest.raises(FeedbackFullError, match="FEEDBACK_MAX_MB"):
        files.append(line)
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert sum(sizes) == 800
    assert len(sizes) > 4
    next(tmp_path.iterdir()).unlink()
    files.append(line)


def test_a_file_that_was_moved_away_is_not_written_to_any_more(tmp_path: Path) -> None:
    files = FeedbackFiles(tmp_path / "own", 1000, False)
    files.append(b"one\n")
    (path,) = (tmp_path / "own").iterdir()
    path.rename(tmp_path / "moved")
    files.append(b"two\n")
    assert (tmp_path / "moved").read_bytes() == b"one\n"
    (path,) = (tmp_path / "own").iterdir()
    assert path.read_bytes() == b"two\n"


def test_what_a_worker_holds_is_not_brought_away(tmp_path: Path) -> None:
    writer, uploader = FeedbackFiles(tmp_path, 1000, False), FeedbackFiles(tmp_path, 1000, False)
    writer.append(b"one\n")
    with uploader.nobodys() as paths:
        assert paths == []
    writer.let_go()
    with uploader.nobodys() as paths:
        (path,) = paths
        writer.append(b"two\n")  # while that is brought away, the next line goes elsewhere
        assert path.read_bytes() == b"one\n"
        path.unlink()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"two\n"]


def test_nobody_else_may_read_them(tmp_path: Path) -> None:
    FeedbackFiles(tmp_path, 1000, False).append(b"one\n")
    assert [path.stat().st_mode & 0o077 for path in tmp_path.iterdir()] == [0]
