"""The request that the page writes down, in curl and in Python, is the one it made, whatever characters are in it."""

import ast
import json
import subprocess
import sys
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from tests.integration.gateways import Gateway
from tests.integration.stack import wait_until
from tests.integration.web import (
    HOSTILE,
    Web,
    answer_of,
    click,
    is_displayed,
    keep_messages,
    open_page,
    open_question,
    set_sentence,
    shown,
    unfold,
    value_of,
    wait_for_label,
)

HOSTILE_SENTENCES = [
    """cat "quoted" it's 'so' `id` $(id) $HOME ${PATH} \\ \\n !! # %41 &x=1 +1 ; | ~ {a,b} [1-3] @file""",
    "cat\nin two lines\r\n\tand a tab",
    "cat 😀 👩‍👩‍👧 ñ é 中文 עברית",
    "cat \u202e gnitirw \u0007 \u0085 \u2028 \U000e0041 bell",
    f"cat {HOSTILE} </script><script>alert(1)</script>",
    "cat ' \" ''' \"\"\" END\nEND\n",
]
LONG = "cat 😀 ' " * 1000
PAIR = ("cat oak", "oak oak oak")


@pytest.fixture(scope="module")
def two(web: Web) -> Gateway:
    return web.gateway("two")


def request_in(browser: Chrome, language: str) -> str:
    return str(
        browser.find_element(By.CSS_SELECTOR, f"[aria-label='Request in {language}']").get_property("textContent")
    )


def run_curl(command: str, shell: str) -> Any:
    done = subprocess.run([shell, "-c", command], capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def run_python(program: str) -> Any:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    return ast.literal_eval(done.stdout)


@pytest.mark.parametrize("sentence", [*HOSTILE_SENTENCES, LONG], ids=lambda text: repr(text[:12]))
def test_the_request_in_curl_and_python_gives_the_answer_of_the_page(
    chromium: Chrome, two: Gateway, sentence: str
) -> None:
    open_page(chromium, two.port, host="127.0.0.1")
    set_sentence(chromium, sentence)
    wait_for_label(chromium, "Animal")
    assert value_of(chromium, "sentence") == sentence.replace("\r\n", "\n")
    answered = answer_of(chromium)
    curl, python = request_in(chromium, "curl"), request_in(chromium, "Python")
    # What reorders lines, or does something to a terminal, is not in them as it is.
    assert all(character.isprintable() or character == "\n" or character in "\u200d" for character in python)
    assert not set("\u202e\u0007\u0085\u2028\r\t") & set(curl)
    found = [run_curl(curl, shell) for shell in ("bash", "sh")] + [run_python(python)]
    for answer in found:
        labels = answer[0] if "requests.post(" in python else answer
        assert [(one["label"], f"{100 * one['score']:.1f}%") for one in labels] == answered


def test_the_request_reaches_the_gateway_with_the_very_characters(chromium: Chrome, web: Web) -> None:
    gateway = web.gateway("two", LOG_SENTENCES="true")
    for sentence in HOSTILE_SENTENCES:
        open_page(chromium, gateway.port, host="127.0.0.1")
        set_sentence(chromium, sentence)
        wait_for_label(chromium, "Animal")
        for language, run in (("curl", lambda text: run_curl(text, "sh")), ("Python", run_python)):
            run(request_in(chromium, language))
            last = json.loads(gateway.log.read_text().rstrip("\n").rpartition("\n")[2])
            assert last["texts"] == [value_of(chromium, "sentence")], language


def test_a_pair_is_in_the_request(chromium: Chrome, web: Web) -> None:
    pairs = web.gateway("pairs")
    open_question(chromium, pairs.port, sentence=PAIR[0], text_pair=PAIR[1])
    wait_for_label(chromium, "other")
    asked = {"sentence": PAIR[0], "text_pair": PAIR[1], "top_k": "all"}
    expected = pairs.client.get("/classify", params=asked).json()
    assert run_curl(request_in(chromium, "curl"), "sh") == expected
    assert run_python(request_in(chromium, "Python")) == expected


def test_a_key_is_read_from_the_environment_and_never_written_down(
    chromium: Chrome, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = web.gateway("two", API_KEYS="open-sesame")
    open_question(chromium, gateway.port, sentence="cat")
    wait_until(lambda: is_displayed(chromium, "key-form"), 10, "the field for the key")
    chromium.find_element(By.ID, "key").send_keys("open-sesame", Keys.ENTER)
    wait_for_label(chromium, "Animal")
    texts = [request_in(chromium, language) for language in ("curl", "Python")]
    assert not [text for text in [*texts, chromium.current_url] if "sesame" in text]
    monkeypatch.setenv("API_KEY", "open-sesame")
    assert run_curl(texts[0], "sh") == run_python(texts[1])
    chromium.execute_script("sessionStorage.clear()")


@pytest.mark.parametrize("host", ["127.0.0.1", "gateway.test"])  # browsers give only the first a clipboard of its own
def test_what_is_copied_is_what_is_shown(chromium: Chrome, two: Gateway, host: str) -> None:
    open_question(chromium, two.port, host, sentence=HOSTILE_SENTENCES[0])
    wait_for_label(chromium, "Animal")
    keep_messages(chromium)
    chromium.find_element(By.CSS_SELECTOR, "#request > summary").click()
    unfold(chromium, "several")
    for language in ("curl", "Python"):
        button = chromium.find_element(By.CSS_SELECTOR, f"[aria-label='Copy the {language} request']")
        button.click()
        wait_until(lambda button=button: button.text == "Copied", 10, "it is copied")  # type: ignore[misc]
        assert chromium.switch_to.active_element == button
        field = chromium.find_element(By.ID, "lines")
        field.clear()
        field.send_keys(Keys.CONTROL, "v")
        assert value_of(chromium, "lines") == request_in(chromium, language)
    click(chromium, "#copy-link")
    wait_until(lambda: shown(chromium, "copy-link") == "Link copied", 10, "the link is copied")
