"""The web page and the API's documentation, as a reader sees them in Chromium, and that they need no other host."""

from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By

from repository.manifest import REPORT_PAGE
from tests.integration.gateways import gateway_beside
from tests.integration.stack import Stack, wait_until
from tests.integration.web import (
    HOST,
    HOSTILE,
    Web,
    click,
    complaints,
    downloads_to,
    first_label,
    look,
    look_as_usual,
    models,
    open_page,
    requested,
    sentence_field,
    shown,
    type_sentence,
    unfold,
    wait_for,
    wait_for_answer,
    wait_for_label,
)
from tests.reports import HOSTILE as HOSTILE_TEXT

KEY = "open-sesame"
PAGE_FILES = {
    "/": "text/html",
    "/page/page.css": "text/css",
    "/page/parts.css": "text/css",
    "/page/main.js": "text/javascript",
    "/docs": "text/html",
}


@pytest.fixture(scope="module")
def stack(web: Web) -> Stack:
    """Version 1 answers; version 2 is refused."""
    return web.stack


@pytest.fixture
def browser(chromium: Chrome, stack: Stack) -> Chrome:
    """Chromium with the page just opened."""
    open_page(chromium, stack.ports["GATEWAY_PORT"])
    return chromium


@pytest.mark.parametrize(("path", "media_type"), PAGE_FILES.items())
def test_files_are_kept_by_browsers_and_bound_to_this_host(stack: Stack, path: str, media_type: str) -> None:
    answer = stack.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert ("'unsafe-inline'" in policy) == (path == "/docs")
    # No string becomes markup or a script, whatever the page's own scripts do with it.
    assert policy.endswith("require-trusted-types-for 'script'; trusted-types 'none'") == (path == "/")
    again = stack.client.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"
    assert stack.client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
    assert stack.client.head(path).status_code == 200


def test_typing_shows_every_label_as_the_api_answers_it(browser: Chrome, stack: Stack) -> None:
    text = "cat cat cat oak oak"
    type_sentence(browser, text)
    expected = stack.client.get("/classify", params={"sentence": text, "top_k": "all"}).json()
    assert [one["label"] for one in expected] == ["Animal", "Plant", HOSTILE]
    wait_for_answer(browser, [(one["label"], f"{100 * one['score']:.1f}%") for one in expected])
    widths = browser.execute_script("return [...document.querySelectorAll('.bar')].map((bar) => bar.style.width)")
    assert [float(width.rstrip("%")) for width in widths] == pytest.approx(
        [100 * one["score"] for one in expected], abs=0.01
    )
    assert shown(browser, "facts").startswith("Version 1 · answered in ")
    assert shown(browser, "announcement") == f"Animal, {100 * expected[0]['score']:.1f}%"


def test_it_asks_when_typing_pauses(browser: Chrome) -> None:
    browser.execute_async_script("""
        const done = arguments[0], field = document.getElementById("sentence");
        for (const letter of "cat oak cat") {
            field.value += letter;
            field.dispatchEvent(new InputEvent("input"));
            await new Promise((next) => setTimeout(next, 50));
        }
        done();""")
    wait_for_label(browser, "Animal")
    assert len([url for url in requested(browser) if "/classify?" in url]) == 1


def test_an_error_takes_the_place_of_the_answer(browser: Chrome) -> None:
    type_sentence(browser, "cat")
    wait_for_label(browser, "Animal")
    type_sentence(browser, "\u200b", Keys.ENTER)  # no white space to a browser, but nothing visible to the gateway
    wait_until(lambda: "at least one visible character" in shown(browser, "problem"), 10, "the error")
    assert shown(browser, "problem").endswith("(422)")
    assert not browser.find_element(By.ID, "result").is_displayed()
    type_sentence(browser, "oak", Keys.ENTER)
    wait_for_label(browser, "Plant")
    assert not browser.find_element(By.ID, "problem").is_displayed()


def test_an_empty_sentence_is_no_question(browser: Chrome) -> None:
    type_sentence(browser, "cat", Keys.ENTER)
    wait_for_label(browser, "Animal")
    type_sentence(browser, "")
    wait_until(browser.find_element(By.ID, "empty").is_displayed, 10, "no answer")
    browser.find_element(By.ID, "example").click()
    wait_until(browser.find_element(By.ID, "result").is_displayed, 10, "the example's answer")
    assert sentence_field(browser).get_property("value") == "Mapa aprende un nuevo lenguaje"


def test_a_label_that_is_markup_is_shown_as_text(browser: Chrome) -> None:
    type_sentence(browser, "rock", Keys.ENTER)
    wait_for_label(browser, HOSTILE)
    assert browser.find_element(By.CSS_SELECTOR, "#labels li .label").text == HOSTILE
    assert browser.find_elements(By.TAG_NAME, "img") == []
    with pytest.raises(NoAlertPresentException):
        browser.switch_to.alert.accept()


def test_a_cut_sentence_is_marked(browser: Chrome) -> None:
    type_sentence(browser, "cat " * 14, Keys.ENTER)
    wait_for_label(browser, "Animal")
    assert not browser.find_element(By.ID, "note").is_displayed()
    type_sentence(browser, "oak " * 15, Keys.ENTER)
    wait_for_label(browser, "Plant")
    assert "limit of 16 tokens" in shown(browser, "note")


def test_a_sentence_that_was_read_in_windows_says_in_how_many(chromium: Chrome, web: Web) -> None:
    open_page(chromium, web.gateway("two", LONG_TEXT="windows", WINDOW_OVERLAP="4").port)
    type_sentence(chromium, "cat " * 14, Keys.ENTER)
    wait_for_label(chromium, "Animal")
    assert "windows" not in shown(chromium, "facts")
    type_sentence(chromium, "cat " * 14 + "oak " * 20, Keys.ENTER)
    wait_until(lambda: shown(chromium, "facts").endswith(" · read in 3 windows"), 10, "the number of windows")
    assert not chromium.find_element(By.ID, "note").is_displayed()


def test_an_outdated_answer_does_not_overwrite_a_newer_one(browser: Chrome) -> None:
    browser.execute_script("""
        const real = window.fetch;
        window.fetch = async (path, options) => {
            const late = path.includes("oak");
            const response = await real(path, {...options, signal: undefined});  // as if the abort came too late
            if (late) await new Promise((done) => window.release = done);
            window.lateAnswer ||= late;
            return response;
        };""")
    type_sentence(browser, "oak", Keys.ENTER)
    type_sentence(browser, "cat", Keys.ENTER)
    wait_until(lambda: first_label(browser) == "Animal", 10, "the newer answer")
    wait_until(lambda: browser.execute_script("return window.release?.() ?? window.lateAnswer"), 10, "the outdated one")
    assert first_label(browser) == "Animal"


def test_versions_are_listed_with_what_is_wrong(browser: Chrome, stack: Stack) -> None:
    unfold(browser, "about")
    wait_until(browser.find_element(By.ID, "versions").is_displayed, 10, "the versions")
    script = "return [...document.querySelectorAll('#version-rows tr')].map((row) => row.innerText.split('\\t'))"
    reason = models(stack)[0]["reason"]
    assert "export it again" in reason
    assert browser.execute_script(script) == [
        ["2", "failed", "fp32", "–"],
        [reason],
        ["1", "current", "fp32", "0.583 · report"],
    ]


def test_a_report_is_named_served_and_bound_to_itself(stack: Stack) -> None:
    assert [one["report"] for one in models(stack)] == [None, "/models/1/report"]
    answer = stack.client.get("/models/1/report")
    assert answer.content == (stack.repository / "classifier" / "1" / REPORT_PAGE).read_bytes()
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert policy.endswith("; sandbox")
    assert stack.client.get("/models/1/report", headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
    assert stack.client.head("/models/1/report").headers["content-length"] == str(len(answer.content))
    assert stack.client.post("/models/1/report").headers["allow"] == "GET, HEAD, OPTIONS"
    for version in (2, 99):
        none = stack.client.get(f"/models/{version}/report")
        said = f"Version {version} has no report: GET /models names the versions that have one."
        assert (none.status_code, none.json()) == (404, {"error": said})
    assert stack.client.get("/models/0/report").status_code == 422


def test_reports_can_be_kept_to_oneself(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", REPORTS="false") as quiet:
        assert [one["report"] for one in quiet.client.get("/models").json()["versions"]] == [None, None]
        assert quiet.client.get("/models/1/report").status_code == 404


def test_the_page_links_a_report_that_is_read_without_a_script_or_another_host(browser: Chrome, stack: Stack) -> None:
    unfold(browser, "about")
    link = wait_for(browser, "#version-rows a")
    assert link.accessible_name == "Report of version 1"
    address = link.get_attribute("href") or ""
    assert urlsplit(address).path == "/models/1/report"
    open_page(browser, stack.ports["GATEWAY_PORT"], "/models/1/report")
    text = browser.find_element(By.TAG_NAME, "body").get_attribute("textContent") or ""
    assert HOSTILE_TEXT in text
    assert "{{ 7*7 }}" in text
    assert not browser.find_elements(By.CSS_SELECTOR, "img, script, [style], [onerror]")
    with pytest.raises(NoAlertPresentException):
        browser.switch_to.alert.accept()
    assert [urlsplit(url).path for url in requested(browser)] == ["/models/1/report"]
    assert complaints(browser) == []
    for width in (390, 1400):
        look(browser, width)
        assert browser.find_element(By.TAG_NAME, "html").get_property("scrollWidth") <= width
        assert browser.find_element(By.CSS_SELECTOR, "svg.chart").size["width"] > 200
    look_as_usual(browser)


def test_a_key_is_asked_for_where_one_is_needed(chromium: Chrome, stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", API_KEYS=KEY) as gateway:
        port = gateway.port
        open_page(chromium, port)
        form, field = chromium.find_element(By.ID, "key-form"), chromium.find_element(By.ID, "key")
        wait_until(form.is_displayed, 10, "the field for the key")
        type_sentence(chromium, "cat", Keys.ENTER)
        wait_until(lambda: "API key is missing or wrong" in shown(chromium, "problem"), 10, "the error")
        field.send_keys("wrong", Keys.ENTER)
        wait_until(lambda: form.is_displayed() and "(401)" in shown(chromium, "problem"), 10, "the key is refused")
        field.clear()
        field.send_keys(KEY, Keys.ENTER)
        wait_until(lambda: first_label(chromium) == "Animal", 10, "an answer")
        unfold(chromium, "about")
        wait_until(chromium.find_element(By.ID, "versions").is_displayed, 10, "the versions")
        assert not form.is_displayed()
        downloads_to(chromium, tmp_path)
        click(chromium, "#version-rows a")  # a link sends no key: the report is fetched with it
        saved = tmp_path / "report-1.html"
        wait_until(saved.is_file, 10, "the report is saved")
        assert saved.read_bytes() == stack.client.get("/models/1/report").content
        assert httpx.get(f"http://127.0.0.1:{port}/models/1/report").status_code == 401
        chromium.refresh()
        type_sentence(chromium, "oak", Keys.ENTER)
        wait_until(lambda: first_label(chromium) == "Plant", 10, "an answer with the key that was kept")


def test_the_page_asks_no_other_host_and_breaks_no_rule(browser: Chrome, stack: Stack) -> None:
    type_sentence(browser, "cat", Keys.ENTER)
    wait_for_label(browser, "Animal")
    urls = requested(browser)
    assert {urlsplit(url).path for url in urls} >= {"/", "/page/page.css", "/page/main.js", "/models", "/classify"}
    assert {urlsplit(url).netloc for url in urls} == {f"{HOST}:{stack.ports['GATEWAY_PORT']}"}
    assert complaints(browser) == []


def test_the_documentation_asks_no_other_host_and_is_usable(chromium: Chrome, stack: Stack) -> None:
    open_page(chromium, stack.ports["GATEWAY_PORT"], "/docs")
    paths = stack.client.get("/openapi.json").json()["paths"]
    operations = sum(len(methods) for methods in paths.values())
    wait_until(lambda: len(chromium.find_elements(By.CLASS_NAME, "opblock")) == operations, 20, "the operations")
    assert not {"/docs", "/page/main.js"} & set(paths)
    click(chromium, ".opblock-get .opblock-summary-control")
    click(chromium, ".try-out__btn")
    wait_for(chromium, "tr[data-param-name=sentence] input").send_keys("cat", Keys.TAB)  # it is read when left
    click(chromium, ".opblock-get .execute")
    wait_until(lambda: "x-model-version" in chromium.find_element(By.TAG_NAME, "body").text, 20, "an answer")
    urls = requested(chromium)
    assert any("/classify?sentence=" in url for url in urls)
    assert {urlsplit(url).netloc for url in urls} == {f"{HOST}:{stack.ports['GATEWAY_PORT']}"}
    assert complaints(chromium) == []
