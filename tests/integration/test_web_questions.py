"""What the page asks: kept in its address, as a pair, of every kind of model, and of two versions."""

from urllib.parse import parse_qs, urlsplit

import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from tests.integration.gateways import Gateway
from tests.integration.stack import wait_until
from tests.integration.web import (
    HOSTILE,
    Web,
    answer_of,
    choose,
    first_label,
    is_displayed,
    open_page,
    open_question,
    requested,
    set_sentence,
    shown,
    type_sentence,
    unfold,
    value_of,
    wait_for,
    wait_for_label,
)

LONG = "cat 😀 ' " * 1000
PAIR = ("cat oak", "oak oak oak")


@pytest.fixture(scope="module")
def two(web: Web) -> Gateway:
    return web.gateway("two")


@pytest.fixture(scope="module")
def pairs(web: Web) -> Gateway:
    return web.gateway("pairs")


def query_of(browser: Chrome) -> dict[str, list[str]]:
    return parse_qs(urlsplit(browser.current_url).query, keep_blank_values=True)


# --- Address


def test_a_link_with_a_sentence_is_answered_at_once(chromium: Chrome, two: Gateway) -> None:
    open_question(chromium, two.port, sentence="oak oak")
    wait_for_label(chromium, "Tree")
    assert value_of(chromium, "sentence") == "oak oak"
    assert chromium.title == "oak oak · Text classifier"
    asked = [parse_qs(urlsplit(url).query) for url in requested(chromium) if "/classify?" in url]
    assert asked == [{"sentence": ["oak oak"], "top_k": ["all"]}]


def test_the_address_follows_the_sentence(chromium: Chrome, two: Gateway) -> None:
    open_page(chromium, two.port)
    type_sentence(chromium, "cat & oak + 100 %")
    wait_until(lambda: query_of(chromium) == {"sentence": ["cat & oak + 100 %"]}, 10, "the sentence in the address")
    chromium.refresh()
    wait_for_label(chromium, "Animal")
    type_sentence(chromium, "")
    wait_until(lambda: query_of(chromium) == {}, 10, "an address without a sentence")


def test_back_and_forward_lead_from_question_to_question(chromium: Chrome, two: Gateway) -> None:
    open_page(chromium, two.port)
    type_sentence(chromium, "cat", Keys.ENTER)
    wait_for_label(chromium, "Animal")
    type_sentence(chromium, "oak")
    wait_for_label(chromium, "Tree")
    type_sentence(chromium, "oak cat cat", Keys.ENTER)
    wait_for_label(chromium, "Animal")
    chromium.back()
    wait_until(lambda: value_of(chromium, "sentence") == "cat" and first_label(chromium) == "Animal", 10, "cat again")
    chromium.forward()
    wait_until(lambda: value_of(chromium, "sentence") == "oak cat cat", 10, "the later one again")
    assert query_of(chromium)["sentence"] == ["oak cat cat"]
    open_page(chromium, two.port, "/docs")
    chromium.back()
    chromium.back()
    wait_until(lambda: value_of(chromium, "sentence") == "oak cat cat", 10, "it is kept while another page is read")


def test_a_sentence_too_long_for_an_address_is_asked_all_the_same(chromium: Chrome, two: Gateway) -> None:
    open_page(chromium, two.port)
    set_sentence(chromium, LONG)
    wait_for_label(chromium, "Animal")
    assert query_of(chromium) == {}
    assert "too long for the page's address" in shown(chromium, "note")
    assert [urlsplit(url).query for url in requested(chromium) if "/classify" in url] == [""]


# --- Kinds of models


def test_a_pair_is_asked_where_the_model_tells_two_texts_apart(chromium: Chrome, pairs: Gateway, two: Gateway) -> None:
    first, second = PAIR
    open_question(chromium, pairs.port, sentence=first, text_pair=second)
    wait_for_label(chromium, "other")
    asked = {"sentence": first, "text_pair": second, "top_k": "all"}
    expected = pairs.client.get("/classify", params=asked).json()
    assert answer_of(chromium) == [(one["label"], f"{100 * one['score']:.1f}%") for one in expected]
    field = wait_for(chromium, "#text-pair")
    field.clear()
    field.send_keys("cat cat cat", Keys.ENTER)
    wait_for_label(chromium, "same")
    assert query_of(chromium) == {"sentence": [first], "text_pair": ["cat cat cat"]}
    open_question(chromium, two.port, sentence="cat")
    wait_for_label(chromium, "Animal")
    assert not is_displayed(chromium, "text-pair")


def test_several_labels_are_marked_where_they_reach_the_threshold(chromium: Chrome, web: Web) -> None:
    gateway = web.gateway("tags", THRESHOLD="0.9")
    open_question(chromium, gateway.port, sentence="cat oak")
    wait_until(lambda: len(answer_of(chromium)) == 2, 10, "an answer")
    assert [score[:2] for _, score in answer_of(chromium)] == ["✓ ", "✓ "]
    type_sentence(chromium, "cat", Keys.ENTER)
    wait_until(lambda: [score[0] for _, score in answer_of(chromium)] == ["✓", "5"], 10, "one of them is true")
    assert "✓ marks those that reach 90%" in shown(chromium, "note")
    assert shown(chromium, "announcement").startswith("Animal, 98.2%")
    type_sentence(chromium, "nothing", Keys.ENTER)
    wait_until(lambda: shown(chromium, "announcement") == "no label", 10, "none of them is true")


def test_a_regression_s_number_is_no_percentage(chromium: Chrome, web: Web) -> None:
    gateway = web.gateway("number")
    open_question(chromium, gateway.port, sentence="good good good")
    wait_for_label(chromium, "stars")
    assert answer_of(chromium) == [("stars", "3.75")]
    assert shown(chromium, "about-brief").startswith("fp32 · regression · exported ")


def test_the_model_is_described_as_its_manifest_does(chromium: Chrome, web: Web) -> None:
    open_page(chromium, web.stack.ports["GATEWAY_PORT"])
    wait_until(lambda: "1 version failed" in shown(chromium, "about-brief"), 10, "the model in short")
    assert shown(chromium, "about-brief").startswith("fp32 · 3 labels · macro-F1 0.583 · exported ")
    unfold(chromium, "about")
    terms, values = (
        [element.text for element in chromium.find_elements(By.CSS_SELECTOR, f"#facts-of-model {kind}")]
        for kind in ("dt", "dd")
    )
    facts = dict(zip(terms, values, strict=True))
    assert facts["Version"] == "1"
    assert facts["Labels"].splitlines() == sorted(["Animal", "Plant", HOSTILE])
    assert facts["Precision"] == "fp32: asked for"
    assert facts["Reads"] == "at most 16 tokens of a text"
    assert facts["Quality"] == "macro-F1 0.583, accuracy 0.700 on 9 sentences"
    assert facts["Against PyTorch"] == "the same label on 100% of 1 sentence; scores differ by at most 0"
    assert chromium.find_element(By.CSS_SELECTOR, "#facts-of-model a").accessible_name == "how good version 1 is"
    assert chromium.find_elements(By.TAG_NAME, "img") == []


# --- Several models


def test_another_model_is_chosen_and_stays_in_the_address(chromium: Chrome, web: Web) -> None:
    several = web.gateway("two", MODEL_NAMES="two,tags")
    open_question(chromium, several.port, sentence="oak", compare="1")
    wait_for_label(chromium, "Tree")
    choose(chromium, "model-choice", "tags")
    wait_for_label(chromium, "Plant")
    assert query_of(chromium) == {"model": ["tags"], "sentence": ["oak"]}, "the other model has no such version"
    wait_until(lambda: shown(chromium, "model") == "Model tags · version 1", 10, "what is known of it")
    chromium.refresh()
    wait_for_label(chromium, "Plant")
    chromium.back()
    wait_for_label(chromium, "Tree")
    assert query_of(chromium) == {"sentence": ["oak"], "compare": ["1"]}
    wait_until(lambda: value_of(chromium, "model-choice") == "two", 10, "the choice follows")


def test_there_is_nothing_to_choose_where_there_is_one_model(chromium: Chrome, two: Gateway) -> None:
    open_question(chromium, two.port, sentence="oak")
    wait_for_label(chromium, "Tree")
    assert not is_displayed(chromium, "model-part")


# --- Two versions


def test_another_version_answers_beside_the_current_one(chromium: Chrome, two: Gateway) -> None:
    open_question(chromium, two.port, sentence="oak")
    choose(chromium, "compare", "1")
    wait_until(lambda: first_label(chromium, "other-labels") == "Plant", 10, "version 1's answer")
    assert first_label(chromium) == "Tree"
    assert shown(chromium, "our-title") == "Version 2"
    assert shown(chromium, "their-title") == "Version 1"
    assert shown(chromium, "difference") == "≠ The two versions name different labels."
    said = shown(chromium, "announcement")
    assert said.startswith("Version 2: Tree, ")
    assert "Version 1: Plant, " in said
    type_sentence(chromium, "cat", Keys.ENTER)
    wait_until(lambda: first_label(chromium, "other-labels") == "Animal", 10, "they agree")
    assert shown(chromium, "difference") == "= The two versions name the same label."
    assert query_of(chromium) == {"sentence": ["cat"], "compare": ["1"]}
    chromium.refresh()
    wait_until(lambda: first_label(chromium, "other-labels") == "Animal", 10, "the link asks both")
    choose(chromium, "compare", "")
    wait_until(lambda: not is_displayed(chromium, "their-answer"), 10, "one answer alone")


def test_a_link_to_a_version_that_is_gone_says_so_beside_the_answer(chromium: Chrome, two: Gateway) -> None:
    open_question(chromium, two.port, sentence="oak", compare="99")
    wait_for_label(chromium, "Tree")
    wait_until(lambda: "Version 99 is not served" in shown(chromium, "their-problem"), 10, "why there is no answer")


def test_a_hostile_sentence_stays_text(chromium: Chrome, two: Gateway) -> None:
    open_question(chromium, two.port, sentence=f"cat {HOSTILE} \u202e", compare="1")
    wait_until(lambda: first_label(chromium, "other-labels") == "Animal", 10, "both answers")
    assert chromium.find_elements(By.CSS_SELECTOR, "img, [onerror]") == []
    with pytest.raises(NoAlertPresentException):
        chromium.switch_to.alert.accept()
