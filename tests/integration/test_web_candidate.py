"""The page shows the version that is on trial beside the one that answers, and what changes; for every reader."""

from collections.abc import Iterator

import pytest
from selenium.webdriver import Chrome

from repository.candidates.deciding import end
from repository.candidates.trial import Plan, Rule
from repository.store import ModelStore
from tests.integration.gateways import publish
from tests.integration.stack import Stack
from tests.integration.trials import EAGER, compared, until_running
from tests.integration.web import (
    HOSTILE,
    complaints,
    is_displayed,
    look,
    look_as_usual,
    open_page,
    shown,
    unfold,
    violations,
    wait_for,
)
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant", "rock": HOSTILE, "карта": "Plant"}
SENTENCES = ["cat", "oak", "rock", "карта", "cat oak cat", "oak rock oak"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    folder = tmp_path_factory.mktemp("candidate")
    store = publish(folder / "repository", "classifier", write_version(folder / "v1", WORDS, weight=2.0))
    other = write_version(folder / "v2", {**WORDS, "oak": "Tree"}, weight=2.0)
    store.publish(other, plan=Plan(canary=0.0, rule=Rule(after=5000, agreement=0.9)))
    return store


@pytest.fixture(scope="module")
def stack(store: ModelStore) -> Iterator[Stack]:
    """Where sentences may be logged; each of some was asked, and compared."""
    with Stack(store.folder.parent, store.folder.parent.parent / "log", LOG_SENTENCES="true", **EAGER) as stack:
        until_running(stack, 2)
        for sentence in 4 * SENTENCES:
            assert stack.classify(sentence).status_code == 200
        wait_until(lambda: compared(stack) == 4 * len(SENTENCES), 30, "all are compared")
        yield stack


@pytest.fixture
def browser(chromium: Chrome, stack: Stack) -> Iterator[Chrome]:
    """The page with the candidate unfolded."""
    open_page(chromium, stack.ports["GATEWAY_PORT"])
    wait_for(chromium, "#candidate:not([hidden])")
    unfold(chromium, "candidate")
    yield chromium
    look_as_usual(chromium)


def test_both_versions_stand_side_by_side_with_what_changes(browser: Chrome) -> None:
    assert shown(browser, "candidate-brief") == "version 2 · answers nobody · agrees on 66.7% of 24 sentences"
    assert shown(browser, "candidate-head") == "Version 1 answersVersion 2 is tried"
    assert "66.7% of 24 sentences, between" in shown(browser, "candidate-facts")
    assert "its rule, after 5,000 sentences" in shown(browser, "candidate-facts")
    assert "Animal" in shown(browser, "candidate-labels")
    assert "Cyrillic" in shown(browser, "candidate-scripts")
    changed = shown(browser, "candidate-change-rows")
    assert "oak rock oakPlant" in changed
    assert "Tree" in changed
    assert complaints(browser) == []


def test_a_candidate_can_be_compared_by_number_like_any_version(browser: Chrome) -> None:
    wait_for(browser, "#compare option[value='2']")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (360, "light")])
def test_nothing_is_in_the_way_of_any_reader(browser: Chrome, width: int, scheme: str) -> None:
    look(browser, width, scheme=scheme)
    assert violations(browser) == []
    assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_how_a_trial_ended_is_told_afterwards(browser: Chrome, store: ModelStore) -> None:
    end(store, 2, "rejected", f"labels of the old scheme {HOSTILE}")
    wait_until(lambda: not is_displayed(browser, "candidate-now"), 30, "the trial is over")
    assert shown(browser, "candidate-brief") == "the last one, version 2, was rejected"
    assert shown(browser, "candidate-ended-rows") == f"Version 2rejectedlabels of the old scheme {HOSTILE}"
    assert complaints(browser) == []
