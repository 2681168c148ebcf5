"""What `text-classifier classify` refuses, and how it says so."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from text_classifier.classify.__main__ import cli
from text_classifier.classify.reading import Kind, Row, kind_of, of_file
from text_classifier.classify.writing import Csv, JsonLines, Plain
from text_classifier_client import Answer, LabelScore, TextError


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--file", "/nowhere.csv"], 2, "/nowhere.csv cannot be read"),
        (["--file", "/"], 2, "/ cannot be read"),
        (["cat", "--file", "-"], 2, "give a text, or --file"),
        (["cat", "--json", "--csv"], 2, "two ways"),
        (["cat", "--top-k", "few"], 2, "--top-k"),
        (["cat", "--url", "localhost"], 2, "base_url"),
        (["cat", "--on-error", "skip"], 2, "--on-error"),
        (["cat", "--deadline", "0"], 2, "deadline"),
        (["cat", "--url", "http://127.0.0.1:1", "--deadline", "1"], 1, "cannot be reached"),
    ],
)
def test_it_says_what_is_wrong(arguments: list[str], status: int, said: str) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert said in done.stderr, done.stderr
    assert (done.exit_code, done.stdout) == (status, "")


@pytest.mark.parametrize(
    ("name", "content", "columns", "said"),
    [
        ("in.csv", b"a,b\n1,2\n", [], "--text, one of a, b"),
        ("in.csv", b"a,b\n1,2\n", ["c"], "line 2 has no 'c'; it has a, b"),
        ("in.tsv", b"a\tb\n1\t2\t3\n", ["a"], "line 2 has 3 fields, the header 2"),
        ("in.csv", b"a,a\n1,2\n", ["a"], "twice"),
        ("in.csv", b'a\n"x\n', [], "line 2"),
        ("in.jsonl", b"{", [], "line 1 is no JSON"),
        ("in.jsonl", b"[" * 100_000, [], "line 1 is no JSON"),
        ("in.jsonl", b"[1]", [], "neither an object"),
        ("in.jsonl", b'{"text": 1}', [], "'text' is no text"),
        ("in.txt", b"a\n\xff\n", [], "not UTF-8"),
        ("in.txt", b"x" * 17_000_000, [], "longer than"),
    ],
)
def test_a_file_that_cannot_be_read_says_where(
    tmp_path: Path, name: str, content: bytes, columns: list[str], said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    arguments = [option for column in columns for option in ("--text", column)]
    done = CliRunner().invoke(cli, ["--url", "http://127.0.0.1:1", "--file", str(tmp_path / name), *arguments])
    assert said in done.stderr, done.stderr
    assert done.exit_code == 2


def rows(path: Path, content: bytes, *columns: str, kind: Kind | None = None) -> list[str]:
    path.write_bytes(content)
    with path.open("rb") as file:
        return [row.text for row in of_file(file.fileno(), kind_of(path, kind), columns, lambda _: None)]


@pytest.mark.parametrize(
    ("name", "content", "columns", "texts"),
    [
        ("in.txt", "\ufeffa\r\n\nb c\n".encode(), [], ["a", "", "b c"]),
        ("in", ("é" * 70_000 + "\nb").encode(), [], ["é" * 70_000, "b"]),
        ("in.txt", b"", [], []),
        ("in.csv", b'id,text\n1,"a\n""b"""\n2\n\n3,c\n', [], ['a\n"b"', "", "c"]),
        ("in.csv", b"idea_title,map_title\na,b\n,b\n", [], ["a b", "b"]),
        ("in.tsv", b"x\ty\na,\tb\n", ["y", "x"], ["b a,"]),
        ("in.jsonl", b'{"sentence": "a"}\n\n"b"\n{"text": null}\n', [], ["a", "b", ""]),
        ("in.csv", b"", [], []),
    ],
)
def test_texts_of_each_kind_of_file(
    tmp_path: Path, name: str, content: bytes, columns: list[str], texts: list[str]
) -> None:
    if name == "in.csv" and not content:
        with pytest.raises(Exception, match="--text"):
            rows(tmp_path / name, content, *columns)
    else:
        assert rows(tmp_path / name, content, *columns) == texts


ANSWER = Answer((LabelScore("a\x1b[2J", 0.123456789), LabelScore("b", 0.5)), version=3, request_id="abc")
ROW = Row("line 1", "x\ty\u202e", {"text": "x\ty\u202e", "n": 1})


def test_nothing_that_is_printed_acts_on_a_terminal() -> None:
    refused = TextError("The text is blank.", 0)
    for printer in (Plain(), JsonLines(ascii_only=True), Csv(on_terminal=True)):
        for outcome in (ANSWER, refused, None):
            shown = printer.printed(ROW, outcome)
            assert shown.endswith("\n")
            assert shown.replace("\n", "").replace("\t", "").isprintable()


def test_what_is_printed_for_a_program_is_as_it_was() -> None:
    assert '"x\\ty\u202e"' in JsonLines(ascii_only=False).printed(ROW, ANSWER)
    assert Csv(on_terminal=False).printed(ROW, ANSWER).splitlines() == [
        "text,n,label,score,model_version",
        "x\ty\u202e,1,a\x1b[2J|b,0.123457|0.5,3",
    ]
