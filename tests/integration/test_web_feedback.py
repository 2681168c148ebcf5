"""What readers of the page say of answers, and what it tells of them, for people of every kind."""

import json
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from tests.integration.gateways import Gateway
from tests.integration.web import (
    Web,
    choose,
    click,
    complaints,
    is_displayed,
    look,
    look_as_usual,
    open_page,
    open_question,
    set_sentence,
    shown,
    type_sentence,
    unfold,
    violations,
    wait_for_label,
)
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("said")


def gateway_of(web: Web, model: str, place: Path) -> Gateway:
    return web.gateway(model, FEEDBACK=str(place), FEEDBACK_SENTENCES="true", WATCH="true")


def said(place: Path, model: str) -> list[dict[str, Any]]:
    paths = (place / model).glob("feedback-*.jsonl")
    lines = [json.loads(line) for path in paths for line in path.read_text().splitlines()]
    return sorted(lines, key=lambda line: line["time"])


def wait_until_thanked(browser: Chrome) -> None:
    wait_until(lambda: shown(browser, "feedback-said") == "Thank you, that is kept.", 10, "it is kept")


def test_nobody_is_asked_where_nothing_is_kept(chromium: Chrome, web: Web) -> None:
    open_question(chromium, web.gateway("two").port, sentence="cat")
    wait_for_label(chromium, "Animal")
    assert not is_displayed(chromium, "feedback")


def test_a_reader_says_yes_or_names_the_right_label(chromium: Chrome, web: Web, place: Path) -> None:
    open_question(chromium, gateway_of(web, "two", place).port, sentence="cat")
    wait_for_label(chromium, "Animal")
    wait_until(lambda: is_displayed(chromium, "feedback-yes"), 10, "it is asked")
    assert not is_displayed(chromium, "feedback-form")
    click(chromium, "#feedback-yes")
    wait_until_thanked(chromium)
    assert not is_displayed(chromium, "feedback-choice"), "it is asked once"
    type_sentence(chromium, "cat oak oak", Keys.ENTER)
    wait_for_label(chromium, "Tree")
    wait_until(lambda: is_displayed(chromium, "feedback-no"), 10, "it is asked of the new answer")
    assert shown(chromium, "feedback-said") == ""
    click(chromium, "#feedback-no")
    choose(chromium, "right-label", "Animal")
    click(chromium, "#feedback-form button")
    wait_until_thanked(chromium)
    found = [(line["sentence"], line["answered"], line["right"]) for line in said(place, "two")]
    assert found == [("cat", ["Animal"], ["Animal"]), ("cat oak oak", ["Tree"], ["Animal"])]
    assert complaints(chromium) == []


def test_it_is_done_by_keys_alone(chromium: Chrome, web: Web, place: Path) -> None:
    open_question(chromium, gateway_of(web, "two", place).port, sentence="oak")
    wait_for_label(chromium, "Tree")
    wait_until(lambda: is_displayed(chromium, "feedback-no"), 10, "it is asked")
    chromium.find_element(By.ID, "feedback-no").send_keys(Keys.ENTER)
    focused = chromium.switch_to.active_element
    assert focused.get_attribute("id") == "right-label"
    focused.send_keys(Keys.TAB)
    chromium.switch_to.active_element.send_keys(Keys.ENTER)
    wait_until_thanked(chromium)
    assert said(place, "two")[-1]["right"] == ["Animal"]


def test_of_several_labels_all_that_are_right_are_ticked(chromium: Chrome, web: Web, place: Path) -> None:
    open_question(chromium, gateway_of(web, "tags", place).port, sentence="cat cat")
    wait_for_label(chromium, "Animal")
    wait_until(lambda: is_displayed(chromium, "feedback-no"), 10, "it is asked")
    click(chromium, "#feedback-no")
    for box in chromium.find_elements(By.CSS_SELECTOR, "#right-labels-list input"):
        if not box.is_selected():
            box.click()
    click(chromium, "#feedback-form button")
    wait_until_thanked(chromium)
    assert sorted(said(place, "tags")[-1]["right"]) == ["Animal", "Plant"]


def test_a_number_is_corrected_by_a_number(chromium: Chrome, web: Web, place: Path) -> None:
    open_question(chromium, gateway_of(web, "number", place).port, sentence="good good")
    wait_for_label(chromium, "stars")
    wait_until(lambda: is_displayed(chromium, "feedback-no"), 10, "it is asked")
    click(chromium, "#feedback-no")
    chromium.find_element(By.ID, "right-value").send_keys("4.5")
    click(chromium, "#feedback-form button")
    wait_until_thanked(chromium)
    assert said(place, "number")[-1]["right"] == 4.5


def test_what_was_said_and_what_moved_is_told(chromium: Chrome, web: Web, place: Path) -> None:
    gateway = gateway_of(web, "two", place)
    gateway.client.post("/classify", json={"sentences": ["cat"]})
    open_page(chromium, gateway.port)
    unfold(chromium, "about")
    wait_until(lambda: "Feedback" in shown(chromium, "facts-of-model"), 10, "what was said")
    facts = shown(chromium, "facts-of-model")
    assert "right (" in facts
    assert "Drift" in facts
    assert "without a profile" in facts


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (320, "dark"), (1280, "light"), (1280, "dark")])
@pytest.mark.parametrize("model", ["two", "tags", "number"])
def test_everybody_can_use_it(
    chromium: Chrome, web: Web, place: Path, model: str, width: int, scheme: str, tmp_path: Path
) -> None:
    try:
        look(chromium, width, scheme=scheme)
        open_page(chromium, gateway_of(web, model, place).port)
        set_sentence(chromium, "good" if model == "number" else "cat oak cat")
        wait_until(lambda: is_displayed(chromium, "feedback-no"), 10, "it is asked")
        click(chromium, "#feedback-no")
        assert violations(chromium) == []
        assert chromium.execute_script("return document.documentElement.scrollWidth <= innerWidth"), "nothing is cut"
        chromium.save_screenshot(str(tmp_path / f"{model}-{width}-{scheme}.png"))
    finally:
        look_as_usual(chromium)
