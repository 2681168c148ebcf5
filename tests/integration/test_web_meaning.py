"""The page shows calibrated scores where the version has them, and a version's own thresholds."""

import math
from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By

from tests.integration.gateways import publish
from tests.integration.stack import Stack
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
from tests.meaning_versions import write_calibrated, write_with_thresholds
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A model with a calibration, one with thresholds of its labels' own, and one with neither."""
    folder = tmp_path_factory.mktemp("web-meaning")
    repository = folder / "repository"
    publish(repository, "classifier", write_calibrated(folder / "calibrated", WORDS, 2.0, [1.0, 1.0]))
    publish(repository, "own", write_with_thresholds(folder / "own", WORDS, [0.9, 0.3], slope=2.0, offset=1.0))
    publish(repository, "plain", write_version(folder / "plain", WORDS))
    with Stack(repository, folder / "log") as stack:
        running = Web(stack, folder)
        try:
            yield running
        finally:
            running.close()


def percent(score: float) -> str:
    return f"{100 * score:.1f}%"


def wait_for_best(browser: Chrome, score: str) -> None:
    wait_until(lambda: answer_of(browser)[:1] == [("Animal", score)], 10, f"Animal has {score}")


def test_a_switch_shows_the_calibrated_scores_of_a_version_that_has_them(chromium: Chrome, web: Web) -> None:
    open_question(chromium, web.gateway("classifier").port, sentence="cat cat oak")
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
    open_question(chromium, web.gateway("classifier", CALIBRATED="true").port, sentence="cat cat oak")
    calibrated = 1 / (1 + math.exp(-2))
    wait_for_best(chromium, percent(calibrated))
    assert chromium.find_element(By.ID, "calibrated").is_selected()
    assert "calibrated" not in shown(chromium, "snippets"), "the server does it by itself"


def test_there_is_no_switch_where_there_is_no_calibration(chromium: Chrome, web: Web) -> None:
    open_page(chromium, web.gateway("plain").port, host="127.0.0.1")
    wait_until(lambda: "version 1" in shown(chromium, "model"), 10, "the version is listed")
    assert not is_displayed(chromium, "calibrated")


def test_labels_are_marked_where_they_reach_their_own_threshold_calibrated_or_not(chromium: Chrome, web: Web) -> None:
    open_question(chromium, web.gateway("own").port, sentence="cat")
    # Animal has 73 % and takes 90 %; Plant has 50 % and takes 30 %.
    wait_for_answer(chromium, [("Animal", "73.1%"), ("Plant", "✓ 50.0%")])
    assert "their own threshold" in shown(chromium, "note")
    chromium.find_element(By.ID, "calibrated").click()
    wait_for_answer(chromium, [("Animal", "95.3%"), ("Plant", "✓ 73.1%")])
