"""What pages say can be typed exists, and a command that no test runs says why."""

import re

import pytest

from tests.page_commands import complaints
from tests.pages import Page, Step, pages
from tests.places import ROOT

PAGES = pages()
CONSOLES = ("console", "console no-run")
# A command in a block of another kind would be tested by nobody.
UNTESTED = {"sh", "bash", "shell", "shell-session", ""}
COMMAND = re.compile(
    r"^(?: {4}|\t)(?:\$ |make |python3? -m |\.venv/bin/|curl |docker |kubectl |text-classifier )", re.M
)
# `folder/file.ext` or `folder/`, as pages name files.
FILE = re.compile(r"`((?:[\w.-]+/)+(?:[\w.-]+\.[a-z]+)?)`")

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@by_page
def test_every_command_stands_in_a_console_block(page: Page) -> None:
    blocks = page.blocks()
    assert not [block.line for block in blocks if block.language in UNTESTED]
    assert not [
        block.language for block in blocks if block.language.startswith("console") and block.language not in CONSOLES
    ]
    assert not COMMAND.findall(page.prose())


@by_page
def test_a_block_that_is_not_run_says_why(page: Page) -> None:
    for block in page.blocks():
        assert (block.language == "console no-run") == bool(block.reason), f"{page.name}:{block.line}"
        if block.language in CONSOLES:
            assert block.steps(), f"{page.name}:{block.line} has no command"


@by_page
def test_commands_options_targets_and_files_exist(page: Page) -> None:
    for block in page.blocks():
        for step in block.steps() if block.language in CONSOLES else ():
            assert complaints(step.command) == [], f"{page.name}:{block.line}"


@by_page
def test_files_that_a_page_names_are_there(page: Page) -> None:
    for name in FILE.findall(page.prose()):
        if (ROOT / name.partition("/")[0]).is_dir() and not name.startswith(
            (".", "model_repository/", "checkpoints/", "exports/")
        ):
            assert (ROOT / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        ("text-classifier trian", "no such command"),
        ("text-classifier train --epoch 3", "no option --epoch"),
        ("GATEWAY_PORT=1 .venv/bin/python -m repository publish x --too s3://b", "no option --too"),
        (".venv/bin/python -m training --lable stars", "no option --lable"),
        ("make upp", "no target upp"),
        ("make up DATAA=x.csv", "nothing reads DATAA"),
        ("kubectl apply -k deploy/kubernetes/overlays/tpu", "not in the checkout"),
        ("cd x && docker compose -f docker-compose.tpu.yaml up", "not in the checkout"),
        ("cat gateway/batchr.py | head", "not in the checkout"),
    ],
)
def test_what_does_not_exist_is_found(command: str, complaint: str) -> None:
    assert complaint in "; ".join(complaints(command))


@pytest.mark.parametrize(
    "command",
    [
        "text-classifier --version",
        "text-classifier train --data reviews.csv --text title --label stars",
        "text-classifier version diff 1 2 --fail-under 0.99",
        ".venv/bin/python -m training --data reviews.csv",
        "python -m export inspect --json",
        "make pipeline DATA=reviews.csv TEXT_COLUMN=title,body FROM=gate",
        "kubectl apply -k deploy/kubernetes/overlays/cpu",
        "docker compose -f docker-compose.yaml -f docker-compose.cpu.yaml up",
        'curl -s "http://127.0.0.1:8000/classify?sentence=a/b&top_k=2" | python -m json.tool',
    ],
)
def test_what_exists_is_taken(command: str) -> None:
    assert complaints(command) == []


@pytest.mark.parametrize(
    ("output", "printed", "fits"),
    [
        ("ready", "ready\n", True),
        ("ready", "not ready\n", False),
        ('{"score":0.98…}', '{"score":0.9887}', True),
        ("first\n…\nlast", "first\n\nmore\nlast\n", True),
        ("first\n…\nlast", "first\nlast\n", True),
        ("first\n…\nlast", "firstlast\n", False),
        (None, "whatever", True),
        ("a.b", "axb", False),
    ],
)
def test_an_ellipsis_stands_for_anything_and_nothing_else_does(output: str | None, printed: str, fits: bool) -> None:
    assert Step("x", output).is_printed(printed) is fits
