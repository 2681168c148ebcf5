"""Several sentences at once on the page: pasted, from a file, compared, cancelled, and taken along as a file."""

import ast
import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.integration.gateways import Gateway
from tests.integration.stack import wait_until
from tests.integration.web import (
    HOSTILE,
    Web,
    choose,
    click,
    complaints,
    downloads_to,
    hold_requests,
    is_displayed,
    open_page,
    requested,
    shown,
    unfold,
    value_of,
)

LONG_CELL = "cat " * 75
FORMULAS = ["=1+1 cat", "+cat", "-cat", "@cat", '=HYPERLINK("http://x.test") cat', " =cat cat", "\tcat", "x;=1+1 cat"]
NASTY = [
    ["cat, with a comma", "1"],
    ['cat with "quotes"', "2"],
    ["oak\r\nin two lines", "3"],
    [LONG_CELL, "4"],
    [f"cat {HOSTILE} \u202e", "5"],
    ["", "6"],
    *([formula, str(7 + number)] for number, formula in enumerate(FORMULAS)),
]


@pytest.fixture(scope="module")
def two(web: Web) -> Gateway:
    return web.gateway("two")


@pytest.fixture
def browser(chromium: Chrome, two: Gateway, tmp_path: Path) -> Chrome:
    """The page with the part for many sentences unfolded; what it saves goes into `tmp_path`."""
    open_many(chromium, two)
    downloads_to(chromium, tmp_path)
    return chromium


def open_many(browser: Chrome, gateway: Gateway) -> None:
    open_page(browser, gateway.port)
    unfold(browser, "several")


def csv_of(records: list[list[str]], ending: str = "\r\n", separator: str = ",") -> bytes:
    """A file as Python's own writer makes it."""
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator=ending).writerows(records)
    return stream.getvalue().encode()


def give_file(browser: Chrome, path: Path, content: bytes) -> None:
    path.write_bytes(content)
    browser.find_element(By.ID, "file").send_keys(str(path))
    wait_until(lambda: is_displayed(browser, "file-part") or is_displayed(browser, "several-problem"), 10, "it is read")


def paste(browser: Chrome, lines: list[str]) -> None:
    browser.execute_script("document.getElementById('lines').value = arguments[0]", "\n".join(lines))


def run_all(browser: Chrome) -> None:
    """Ask for all, and wait for the end."""
    click(browser, "#run")
    wait_until(lambda: shown(browser, "several-status").startswith("Done."), 30, "all is answered")


def table_of(browser: Chrome) -> list[list[str]]:
    script = (
        "return [...document.querySelectorAll('#table-rows tr')].map((row) => [...row.cells].map((c) => c.innerText))"
    )
    rows: list[list[str]] = browser.execute_script(script)
    return rows


def saved(browser: Chrome, folder: Path, button: str, name: str) -> str:
    click(browser, f"#{button}")
    path = folder / name
    wait_until(path.is_file, 10, "the file is saved")
    return path.read_bytes().decode("utf-8-sig" if name.endswith("csv") else "utf-8")


def test_pasted_lines_are_answered_in_order(browser: Chrome, two: Gateway) -> None:
    sentences = ["cat", "oak oak", "", "cat cat oak", "cat 😀 ñ"]
    paste(browser, sentences)
    run_all(browser)
    asked = [sentence for sentence in sentences if sentence]
    answers = two.client.post("/classify", json={"sentences": asked}).json()
    expected = [
        [str(row + 1), text, answer[0]["label"], f"{100 * answer[0]['score']:.1f}%"]
        for row, (text, answer) in enumerate(zip(asked, answers, strict=True))
    ]
    assert table_of(browser) == expected
    assert shown(browser, "summary") == "4 of 4 texts answered by version 2 · Animal 3, Tree 1"


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
@pytest.mark.parametrize(("mark", "separator"), [(b"", ","), (b"\xef\xbb\xbf", ","), (b"\xef\xbb\xbf", ";")])
def test_a_csv_comes_back_with_labels_and_is_safe_in_a_spreadsheet(
    browser: Chrome, two: Gateway, tmp_path: Path, ending: str, mark: bytes, separator: str
) -> None:
    give_file(browser, tmp_path / "in.csv", mark + csv_of([["idea", "number"], *NASTY], ending, separator))
    assert is_displayed(browser, "column-part")
    assert value_of(browser, "column") == "0"
    run_all(browser)
    asked = [text for text, _ in NASTY if text]
    answers = iter(two.client.post("/classify", json={"sentences": asked}).json())
    records = list(csv.reader(io.StringIO(saved(browser, tmp_path, "save-csv", "in-labels.csv"))))
    assert records[0] == ["idea", "number", "label", "score", "version", "problem"]
    for (text, number), record in zip(NASTY, records[1:], strict=True):
        answer = next(answers)[0] if text else None
        assert record[0] == (f"'{text}" if text in FORMULAS[:-1] else text)
        assert record[1] == number
        assert record[2:4] == ([answer["label"], str(answer["score"])] if answer else ["", ""])
        assert record[4:] == ["2", "" if text else "Empty: not asked."]
    assert browser.find_elements(By.TAG_NAME, "img") == []
    with pytest.raises(NoAlertPresentException):
        browser.switch_to.alert.accept()
    assert complaints(browser) == []


def test_the_same_as_json_lines_has_every_text_as_it_is(browser: Chrome, two: Gateway, tmp_path: Path) -> None:
    give_file(browser, tmp_path / "in.csv", csv_of([["idea", "number"], *NASTY]))
    run_all(browser)
    lines = saved(browser, tmp_path, "save-json", "in-labels.jsonl").splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["sentence"] for one in found] == [text for text, _ in NASTY]
    answers = iter(two.client.post("/classify", json={"sentences": [text for text, _ in NASTY if text]}).json())
    assert [one["labels"] for one in found] == [next(answers) if text else None for text, _ in NASTY]
    assert {one["version"] for one in found} == {2}


def test_the_request_for_many_is_written_down_too(browser: Chrome, two: Gateway) -> None:
    open_page(browser, two.port, host="127.0.0.1")
    unfold(browser, "several")
    paste(browser, ["cat 'quoted' $HOME", "\u200b", *["oak"] * 30])
    run_all(browser)
    expected = [row[2] for row in table_of(browser) if len(row) == 4][:20]
    curl, python = (
        browser.find_element(By.CSS_SELECTOR, f"#snippets-many [aria-label='Request in {language}']")
        for language in ("curl", "Python")
    )
    done = subprocess.run(["sh", "-c", str(curl.get_property("textContent"))], capture_output=True, check=True)
    assert [answer[0]["label"] for answer in json.loads(done.stdout)] == expected
    program = str(python.get_property("textContent"))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert [answer[0]["label"] for answer in ast.literal_eval(done.stdout.decode())] == expected
    assert shown(browser, "snippet-note") == "The first 20 texts of 32."


def test_the_column_can_be_chosen_and_the_first_row_be_a_text(browser: Chrome, tmp_path: Path) -> None:
    give_file(browser, tmp_path / "in.csv", csv_of([["1", "oak"], ["2", "cat"]]))
    assert browser.find_element(By.ID, "heading").is_selected()
    browser.find_element(By.ID, "heading").click()
    choose(browser, "column", "1")
    assert shown(browser, "preview") == "2 rows, the first: oak"
    run_all(browser)
    assert [row[1:3] for row in table_of(browser)] == [["oak", "Tree"], ["cat", "Animal"]]
    assert saved(browser, tmp_path, "save-csv", "in-labels.csv").startswith("column_1,column_2,label,score")
    browser.find_element(By.ID, "no-file").click()
    assert is_displayed(browser, "lines")


def test_a_text_file_is_dropped_on_the_page(browser: Chrome) -> None:
    script = """
        const files = new DataTransfer(), card = document.getElementById("several");
        files.items.add(new File(["cat\\r\\n\\r\\noak, \\"oak\\"\\n"], "some.txt"));
        card.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));"""
    browser.execute_script(script)
    wait_until(lambda: shown(browser, "preview") == "2 rows, the first: cat", 10, "the file is read")
    run_all(browser)
    assert [row[1] for row in table_of(browser)] == ["cat", 'oak, "oak"']


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("open.csv", b'a,b\n"x,1', "Line 2 has a quotation mark that is never closed."),
        ("inside.csv", b'a,b\nx"y",1', "Line 2 has a quotation mark inside a text"),
        ("behind.csv", b'a,b\n"x\ny"z,1', "Line 3 goes on after a closing quotation mark"),
        ("wide.csv", b"a,b\n1,2\nx, y,3", "Line 3 has 3 columns, the first one 2: a text with a comma in it"),
        ("latin.csv", "año,b\n1,2".encode("latin-1"), "The file is not UTF-8: save it as “CSV UTF-8”."),
        ("book.csv", b"PK\x03\x04\x00\x00", "The file is not text: save it as CSV."),
        ("empty.csv", b"", "The file has no text in it."),
        ("long.txt", b"cat\n" * 5002, "The file has 5,002 rows; this page takes at most 5,000. Score a longer file"),
        ("large.txt", b"c" * 10_000_001, "The file has more than 10 MB."),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_in_words(
    browser: Chrome, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    give_file(browser, tmp_path / name, content)
    assert shown(browser, "several-problem").startswith(said)
    assert not is_displayed(browser, "file-part")
    assert "Score a longer file at the command line" in shown(browser, "several-problem") or b"c" * 99 not in content


def test_as_many_rows_as_are_allowed_are_answered_by_few_requests(browser: Chrome) -> None:
    paste(browser, [f"cat {number}" for number in range(5000)])
    run_all(browser)
    assert shown(browser, "summary").startswith("5,000 of 5,000 texts answered")
    assert len([url for url in requested(browser) if url.endswith("/classify")]) == 5000 // 64 + 1
    assert len(table_of(browser)) == 100
    browser.find_element(By.ID, "more-rows").click()
    assert table_of(browser)[199][1] == "cat 199"
    paste(browser, ["cat"] * 5001)
    click(browser, "#run")
    wait_until(lambda: "The list has 5,001 rows" in shown(browser, "several-problem"), 10, "they are too many")


def test_a_run_is_cancelled_and_what_was_answered_stays(browser: Chrome, tmp_path: Path) -> None:
    hold_requests(browser, after=3)
    paste(browser, ["cat"] * 2000)
    browser.find_element(By.ID, "run").click()
    wait_until(lambda: shown(browser, "progress-text").startswith("192 of 2,000"), 10, "it makes progress")
    browser.find_element(By.ID, "cancel").click()
    wait_until(lambda: shown(browser, "several-status").startswith("Cancelled: "), 10, "it ends")
    assert browser.switch_to.active_element.get_attribute("id") == "run"
    answered = 3 * 64
    assert shown(browser, "summary").startswith(f"{answered} of ")
    records = list(csv.reader(io.StringIO(saved(browser, tmp_path, "save-csv", "sentences-labels.csv"))))[1:]
    assert [record[1] for record in records] == ["Animal"] * answered + [""] * (2000 - answered)


def test_two_versions_side_by_side_and_only_where_they_differ(browser: Chrome, tmp_path: Path) -> None:
    choose(browser, "compare-many", "1")
    paste(browser, ["cat", "oak", "cat cat", "oak oak"])
    run_all(browser)
    rows = table_of(browser)
    assert [(row[2], row[4], row[6]) for row in rows[:2]] == [
        ("Animal", "Animal", "= same"),
        ("Tree", "Plant", "≠ differs"),
    ]
    assert shown(browser, "summary").endswith("2 differ from version 1")
    browser.find_element(By.ID, "only-different").click()
    assert [row[1] for row in table_of(browser)] == ["oak", "oak oak"]
    records = list(csv.DictReader(io.StringIO(saved(browser, tmp_path, "save-csv", "sentences-labels.csv"))))
    assert [record["differs"] for record in records] == ["false", "true", "false", "true"]
    assert {(record["version"], record["version_compared"]) for record in records} == {("2", "1")}


def test_pairs_are_read_from_two_columns(chromium: Chrome, web: Web, tmp_path: Path) -> None:
    gateway = web.gateway("pairs")
    open_many(chromium, gateway)
    wait_until(lambda: shown(chromium, "about-brief").startswith("fp32"), 10, "the model is known")
    give_file(chromium, tmp_path / "in.csv", csv_of([["one", "two"], ["cat oak", "oak oak"], ["cat oak", "cat cat"]]))
    choose(chromium, "column", "0")
    choose(chromium, "second-column", "1")
    run_all(chromium)
    expected = gateway.client.post("/classify", json={"pairs": [["cat oak", "oak oak"], ["cat oak", "cat cat"]]}).json()
    assert [row[3] for row in table_of(chromium)] == [answer[0]["label"] for answer in expected] == ["other", "same"]


def test_several_labels_and_numbers_are_shown_and_saved(chromium: Chrome, web: Web, tmp_path: Path) -> None:
    downloads_to(chromium, tmp_path)
    open_many(chromium, web.gateway("tags", THRESHOLD="0.9"))
    paste(chromium, ["cat oak", "cat", "none of them"])
    run_all(chromium)
    assert [row[2].split("\n") for row in table_of(chromium)] == [["Animal", "Plant"], ["Animal"], ["no label"]]
    open_many(chromium, web.gateway("number"))
    paste(chromium, ["good good", "good"])
    run_all(chromium)
    assert [row[2:] for row in table_of(chromium)] == [["stars", "2.5"], ["stars", "1.25"]]
    saved_text = saved(chromium, tmp_path, "save-csv", "sentences-labels.csv")
    assert saved_text.splitlines()[1:] == ["good good,stars,2.5,1,", "good,stars,1.25,1,"]


def test_a_gateway_that_takes_less_at_a_time_gets_less(chromium: Chrome, web: Web) -> None:
    open_many(chromium, web.gateway("two", MAX_SENTENCES="10", MAX_SENTENCE_BYTES="100"))
    paste(chromium, ["cat", *["oak"] * 30, "oak " * 60, "cat"])
    run_all(chromium)
    rows = table_of(chromium)
    assert [row[2] for row in rows[:2] + rows[-1:]] == ["Animal", "Tree", "Animal"]
    assert rows[31][2] == "This text has 240 bytes; at most 100 are taken. (413)"
    assert shown(chromium, "summary").startswith("32 of 33 texts answered")
