"""The page shows calibrated scores where the version has them, and a version's own thresholds."""

import math

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.integration.web import (
    Web,
    answer_of,
    is_displayed,
    open_page,
    open_question,
    shown,
    violations,
    wait_for_answer,
)
from tests.waiting import wait_until


def percent(score: float) -> str:
    return f"{100 * score:.1f}%"


def wait_for_best(browser: Chrome, score: str) -> None:
    wait_until(lambda: answer_of(browser)[:1] == [("Animal", score)], 10, f"Animal has {score}")


def test_a_switch_shows_the_calibrated_scores_of_a_version_that_has_them(chromium: Chrome, web: Web) -> None:
    open_question(chromium, web.gateway("calibrated").port, sentence="cat cat oak")
    plain, calibrated = (1 / (1 + math.exp(-4 / each)) for each in (1.0, 2.0))
    wait_for_best(chromium, percent(plain))
    assert "calibrated" not in shown(chromium, "facts")
    chromium.find_element(By.ID, "calibrated").click()
    wait_for_best(chromium, percent(calibrated))
    assert "calibrated" in shown(chromium, "facts")
    assert "--data-urlencode 'calibrated=true'" in shown(chromium, "snippets")
    assert chromium.find_element(By.ID, "calibrated-many").is_selected(), "the choice is one for both"
    assert violations(chromium) == []
    chromium.find_element(By.ID, "calibrated").click()
    wait_for_best(chromium, percent(plain))


def test_the_switch_begins_as_the_server_has_it(chromium: Chrome, web: Web) -> None:
    open_question(chromium, web.gateway("calibrated", CALIBRATED="true").port, sentence="cat cat oak")
    calibrated = 1 / (1 + math.exp(-2))
    wait_for_best(chromium, percent(calibrated))
    assert chromium.find_element(By.ID, "calibrated").is_selected()
    assert "calibrated" not in shown(chromium, "snippets"), "the server does it by itself"


@pytest.mark.parametrize("model", ["tags", "number"])
def test_there_is_no_switch_where_there_is_no_calibration(chromium: Chrome, web: Web, model: str) -> None:
    open_page(chromium, web.gateway(model).port, host="127.0.0.1")
    wait_until(lambda: "version 1" in shown(chromium, "model"), 10, "the version is listed")
    assert not is_displayed(chromium, "calibrated")


def test_labels_are_marked_where_they_reach_their_own_threshold_calibrated_or_not(chromium: Chrome, web: Web) -> None:
    open_question(chromium, web.gateway("own").port, sentence="cat")
    # Animal has 73 % and takes 90 %; Plant has 50 % and takes 30 %.
    wait_for_answer(chromium, [("Animal", "73.1%"), ("Plant", "✓ 50.0%")])
    assert "their own threshold" in shown(chromium, "note")
    chromium.find_element(By.ID, "calibrated").click()
    wait_for_answer(chromium, [("Animal", "95.3%"), ("Plant", "✓ 73.1%")])
