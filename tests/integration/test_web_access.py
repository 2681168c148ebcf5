"""The page for those who use a keyboard, a screen reader, a narrow screen or a dark one: each state of it."""

from collections.abc import Callable, Iterator

import pytest
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By

from tests.integration.stack import wait_until
from tests.integration.web import (
    HOSTILE,
    Web,
    choose,
    click,
    first_label,
    hold_requests,
    is_displayed,
    look,
    look_as_usual,
    open_page,
    open_question,
    requested,
    shown,
    type_sentence,
    unfold,
    value_of,
    violations,
    wait_for_label,
)

LOOKS = [(width, scheme) for width in (320, 1280) for scheme in ("light", "dark")]
LONG_WORD = "Donaudampfschifffahrtsgesellschaft" * 4


@pytest.fixture(autouse=True)
def _as_usual(chromium: Chrome) -> Iterator[None]:
    yield
    look_as_usual(chromium)


def empty(browser: Chrome, web: Web) -> None:
    open_page(browser, web.stack.ports["GATEWAY_PORT"])
    wait_until(lambda: "version" in shown(browser, "model"), 10, "the model is known")


def answered(browser: Chrome, web: Web) -> None:
    empty(browser, web)
    type_sentence(browser, "rock ", *["oak "] * 20, Keys.ENTER)
    wait_until(lambda: first_label(browser) is not None, 10, "an answer that was cut")
    click(browser, "#request > summary")
    unfold(browser, "about")


def refused(browser: Chrome, web: Web) -> None:
    empty(browser, web)
    type_sentence(browser, "\u200b", Keys.ENTER)
    wait_until(lambda: is_displayed(browser, "problem"), 10, "a problem")


def compared(browser: Chrome, web: Web) -> None:
    open_question(browser, web.gateway("two").port, sentence=f"oak {LONG_WORD}", compare="1")
    wait_until(lambda: first_label(browser, "other-labels") == "Plant", 10, "both answers")
    unfold(browser, "about")


def several_labels(browser: Chrome, web: Web) -> None:
    open_question(browser, web.gateway("tags").port, sentence="cat oak")
    wait_until(lambda: first_label(browser) is not None, 10, "an answer")


def a_number(browser: Chrome, web: Web) -> None:
    open_question(browser, web.gateway("number").port, sentence="good")
    wait_until(lambda: first_label(browser) is not None, 10, "an answer")


def a_pair(browser: Chrome, web: Web) -> None:
    open_question(browser, web.gateway("pairs").port, sentence="cat", text_pair="oak oak")
    wait_until(lambda: first_label(browser) is not None, 10, "an answer")


def a_key_is_asked_for(browser: Chrome, web: Web) -> None:
    open_page(browser, web.gateway("two", API_KEYS="open-sesame").port)
    wait_until(lambda: is_displayed(browser, "key-form"), 10, "the field for the key")
    unfold(browser, "about")


def a_file_is_chosen(browser: Chrome, web: Web) -> None:
    open_page(browser, web.gateway("pairs").port)
    unfold(browser, "several")
    wait_until(lambda: shown(browser, "about-brief").startswith("fp32"), 10, "the model is known")
    browser.execute_script(
        """
        const files = new DataTransfer();
        files.items.add(new File([`one,two,three\\ncat,${arguments[0]},oak`], `${arguments[0]}.csv`));
        document.getElementById("several").dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true}));
        """,
        LONG_WORD,
    )
    wait_until(lambda: is_displayed(browser, "second-column"), 10, "the columns")


def many_answered(browser: Chrome, web: Web) -> None:
    open_page(browser, web.gateway("two").port)
    unfold(browser, "several")
    choose(browser, "compare-many", "1")
    lines = ["cat", f"oak {LONG_WORD}", HOSTILE, "\u200b.", *["oak cat " * 20] * 120]
    browser.execute_script("document.getElementById('lines').value = arguments[0]", "\n".join(lines))
    click(browser, "#run")
    wait_until(lambda: shown(browser, "several-status").startswith("Done."), 20, "all is answered")
    click(browser, "#table-part summary")


STATES = [
    empty,
    answered,
    refused,
    compared,
    several_labels,
    a_number,
    a_pair,
    a_key_is_asked_for,
    a_file_is_chosen,
    many_answered,
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_axe_finds_nothing_wrong_and_nothing_is_wider_than_the_screen(
    chromium: Chrome, web: Web, state: Callable[[Chrome, Web], None]
) -> None:
    state(chromium, web)
    for width, scheme in LOOKS:
        look(chromium, width, scheme=scheme)
        assert violations(chromium) == [], (width, scheme)
        wide = chromium.execute_script(
            "return [...document.querySelectorAll('body *')].filter((e) => !e.closest('.scroller, .unseen, svg')"
            " && e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"
        )
        assert wide == [], width
        assert chromium.execute_script("return document.documentElement.scrollWidth") <= width


def press(browser: Chrome, *keys: str) -> None:
    ActionChains(browser).send_keys(*keys).perform()


def focused(browser: Chrome) -> str:
    """Id or name of what has the focus, which must be seen to have it."""
    script = """
        const element = document.activeElement, style = getComputedStyle(element);
        const seen = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
        return [element.id || element.ariaLabel || element.textContent.trim(), seen || element === document.body];"""
    name, is_seen = browser.execute_script(script)
    assert is_seen, f"nobody sees that {name} has the focus"
    return str(name)


def tab_to(browser: Chrome, name: str) -> list[str]:
    """Go there by the tabulator alone; the stops on the way."""
    stops: list[str] = []
    while not stops or not stops[-1].startswith(name):
        assert len(stops) < 40, stops
        press(browser, Keys.TAB)
        stops.append(focused(browser))
    return stops


def test_everything_is_done_by_keys_alone_in_the_order_of_the_page(chromium: Chrome, web: Web) -> None:
    open_page(chromium, web.gateway("two").port)
    wait_until(lambda: is_displayed(chromium, "compare"), 10, "another version is offered")
    assert focused(chromium) == "sentence"
    press(chromium, "oak", Keys.ENTER)
    wait_for_label(chromium, "Tree")
    assert focused(chromium) == "sentence"
    assert tab_to(chromium, "compare") == ["Classify", "compare"]
    press(chromium, Keys.ARROW_DOWN)
    wait_until(lambda: first_label(chromium, "other-labels") == "Plant", 10, "version 1 is asked")
    assert focused(chromium) == "compare"
    assert tab_to(chromium, "This request") == ["copy-link", "This request in curl and Python"]
    press(chromium, Keys.ENTER)
    stops = tab_to(chromium, "Several sentences")
    assert stops[:4] == [
        "Copy the curl request",
        "Request in curl",
        "Copy the Python request",
        "Request in Python",
    ]
    press(chromium, Keys.SPACE)
    assert tab_to(chromium, "lines") == ["lines"]
    press(chromium, "cat", Keys.ENTER, "oak")
    assert tab_to(chromium, "run") == ["file", "compare-many", "run"]
    press(chromium, Keys.ENTER)
    wait_until(lambda: shown(chromium, "several-status").startswith("Done. 2 of 2 texts answered"), 20, "the answers")
    assert focused(chromium) == "run"
    stops = tab_to(chromium, "The model")
    assert stops[:4] == ["only-different", "Answers to several sentences", "save-csv", "save-json"]
    press(chromium, Keys.ENTER)
    assert tab_to(chromium, "refresh") == ["refresh"]


def test_focus_stays_in_place_when_a_run_that_had_it_is_cancelled(chromium: Chrome, web: Web) -> None:
    open_page(chromium, web.gateway("two").port)
    unfold(chromium, "several")
    hold_requests(chromium, after=1)
    chromium.execute_script("document.getElementById('lines').value = 'cat\\n'.repeat(500)")
    chromium.find_element(By.ID, "run").send_keys(Keys.ENTER)
    wait_until(lambda: is_displayed(chromium, "cancel"), 10, "it runs")
    chromium.find_element(By.ID, "cancel").send_keys(Keys.ENTER)
    wait_until(lambda: not is_displayed(chromium, "cancel"), 20, "it ends")
    assert chromium.switch_to.active_element.get_attribute("id") == "run"


def test_motion_stops_for_those_who_wish_so(chromium: Chrome, web: Web) -> None:
    answered(chromium, web)
    moving = """
        const styles = [...document.querySelectorAll("*")].map((element) => getComputedStyle(element));
        const rests = (style) => /^(0s(, )?)+$/.test(style.transitionDuration) && style.animationName === "none";
        return !styles.every(rests)"""
    assert chromium.execute_script(moving)
    look(chromium, 1280)
    assert not chromium.execute_script(moving)


def test_sentences_from_right_to_left_stay_in_their_place(chromium: Chrome, web: Web) -> None:
    open_question(chromium, web.gateway("two").port, sentence="עברית cat")
    wait_for_label(chromium, "Animal")
    assert value_of(chromium, "sentence") == "עברית cat"
    direction = "return getComputedStyle(document.getElementById('sentence')).direction"
    assert chromium.execute_script(direction) == "rtl"


def test_the_page_says_who_it_is_to_a_screen_reader(chromium: Chrome, web: Web) -> None:
    empty(chromium, web)
    roles = [chromium.find_element(By.TAG_NAME, name).aria_role for name in ("header", "nav", "main")]
    assert roles == ["banner", "navigation", "main"]
    headings = [heading.text for heading in chromium.find_elements(By.CSS_SELECTOR, "h1, h2, h3") if heading.text]
    assert headings == ["Text classifier", "Several sentences", "The model"]
    assert chromium.find_element(By.ID, "announcement").aria_role == "status"
    assert len(requested(chromium)) < 25
