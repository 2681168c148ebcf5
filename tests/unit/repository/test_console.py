"""What a command prints of data is shown as it is: never as markup, never as a line break or a terminal's control."""

import io
import json
import logging

import pytest

from repository.console import Console, Table, lines, shortened, styled
from repository.log_lines import log_to_stderr

BRACKETS = "Ops [/api] [red]b[/] [ ] :smile: $x$"
CONTROLS = "a\nb\r\tc\x1b[2Jd\u202ee\u200bf"
SHOWN = r"a\nb\r\tc\x1b[2Jd\u202ee\u200bf"


class Screen(io.StringIO):
    """A terminal that keeps what is written on it."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    monkeypatch.setenv("TERM", "xterm")
    return Screen()


def test_a_line_is_one_line_however_long_with_brackets_as_they_are(screen: Screen) -> None:
    console = Console(file=screen, width=40)
    console.print(f"{BRACKETS} {CONTROLS} {'x' * 300}")
    assert screen.getvalue() == f"{BRACKETS} {SHOWN} {'x' * 300}\n"


def test_an_error_and_a_styled_text_keep_their_own_colour_alone(screen: Screen) -> None:
    console = Console(file=screen, width=40)
    console.error(f"{BRACKETS} {CONTROLS}")
    console.print(styled(CONTROLS, "bold"), BRACKETS)
    error, line = screen.getvalue().splitlines()
    assert error == f"\x1b[31mError:\x1b[0m {BRACKETS} {SHOWN}"
    assert line == f"\x1b[1m{SHOWN}\x1b[0m {BRACKETS}"


def test_a_page_keeps_its_own_lines(screen: Screen) -> None:
    Console(file=screen).page("one\n\x1b[31mtwo\u2028\n")
    assert screen.getvalue() == "one\n\\x1b[31mtwo\\u2028\n"


@pytest.mark.parametrize("text", [BRACKETS, CONTROLS, "x" * 300, "日本" * 150])
def test_a_table_stays_whole_with_any_text_in_any_part_of_it(text: str) -> None:
    screen = io.StringIO()
    table = Table("name", text, title=text, caption=text)
    table.add_column(text, justify="right")
    table.add_row(text, styled(text, "red"), lines(text, "second"))
    table.add_row("short", "1", "2")
    Console(file=screen, width=80).table(table)
    assert all(len(line) <= 80 and line.isprintable() for line in screen.getvalue().split("\n"))
    borders = [line for line in screen.getvalue().split("\n") if line[:1] and line[0] in "┏┡└"]
    assert len(borders) == 3
    assert len({len(line) for line in borders}) == 1
    assert "second" in screen.getvalue()


def test_a_long_name_is_cut_and_says_so() -> None:
    assert shortened("x" * 300) == "x" * 47 + "…"
    assert shortened("日本" * 100, 5) == "日本…"
    assert shortened("short\n") == r"short\n"


@pytest.mark.parametrize("transient", [True, False])
def test_a_bar_and_a_spinner_show_what_they_are_about_on_one_row(screen: Screen, transient: bool) -> None:
    console = Console(file=screen, width=70)
    with console.progress(f"{BRACKETS}{CONTROLS}", 2, transient=transient) as advance:
        advance(1)
        advance(1, f"[/x]{CONTROLS}")
    with console.doing(f"{BRACKETS}{CONTROLS}") as report:
        report(f"[/y]{CONTROLS}" + "z" * 300)
    shown = screen.getvalue()
    assert "[/x]a\\nb" in shown
    assert "[/y]a\\nb" in shown
    assert not [part for part in ("\x1b[2J", "\u202e", "\u200b", "\t") if part in shown]
    assert shown.count("\n") <= (2 if transient else 3)


def test_json_says_the_same_to_a_program_and_nothing_to_a_terminal(screen: Screen) -> None:
    value = {CONTROLS: [BRACKETS, CONTROLS, "日本語", "\U000e0001"]}
    Console(file=screen).json(json.dumps(value, indent=2, ensure_ascii=False))
    assert json.loads(screen.getvalue()) == value
    assert all(line.isprintable() for line in screen.getvalue().split("\n"))
    assert "日本語" in screen.getvalue()


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_a_name_that_the_terminal_cannot_write_does_not_end_the_run(encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=stream)
    table = Table("é", title="日")
    table.add_row("…\udcff")
    console.table(table)
    console.print("日本é\udcff")
    console.json('{"日": "é"}')
    stream.flush()
    written = stream.buffer.getvalue().decode(encoding)  # type: ignore[attr-defined]
    assert r"\udcff" in written
    assert json.loads(written[written.index("{") :]) == {"日": "é"}


def test_a_log_line_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    log_to_stderr()
    logging.getLogger("x").info("version of %s", CONTROLS)
    try:
        raise ValueError(CONTROLS)
    except ValueError:
        logging.getLogger("x").exception("failed")
    first, second, *trace = capsys.readouterr().err.splitlines()
    assert first.endswith(f"INFO version of {SHOWN}")
    assert second.endswith("ERROR failed")
    assert trace[0] == "Traceback (most recent call last):"
    assert all(line.isprintable() for line in trace)
