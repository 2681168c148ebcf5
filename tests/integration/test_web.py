"""The web page and the API's documentation, as a reader sees them in Chromium, and that they need no other host."""

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from repository.manifest import REPORT_PAGE, Evaluation, Manifest, ProblemType
from repository.store import ModelStore
from tests.integration.gateways import gateway_beside
from tests.integration.ports import free_ports
from tests.integration.stack import ROOT, Stack, wait_until
from tests.reports import HOSTILE as HOSTILE_TEXT
from tests.reports import made_up_report
from tests.version_folders import write_version
from training.report.html_report import html_report

HOSTILE = "<img src=x onerror=alert(1)>"
WORDS = {"cat": "Animal", "oak": "Plant", "rock": HOSTILE}
EVALUATION = Evaluation(sentences=9, accuracy=0.7, macro_f1=0.5832, checkpoint_accuracy=0.7, checkpoint_macro_f1=0.58)
KEY = "open-sesame"
PAGE_FILES = {"/": "text/html", "/page.css": "text/css", "/page.js": "text/javascript", "/docs": "text/html"}
# Not the address: Swagger UI is more talkative where it does not find itself on the reader's own machine.
HOST = "gateway.test"
CHROMIUM_OPTIONS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    "--no-proxy-server",
]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Version 1 answers; version 2, put in past `publish`, is refused."""
    folder = tmp_path_factory.mktemp("web")
    store = ModelStore(folder / "repository", "classifier")
    store.folder.mkdir(parents=True)
    shutil.copy(ROOT / "model_repository" / "classifier" / "config.pbtxt", store.folder)
    page = html_report(made_up_report(ProblemType.SINGLE_LABEL))
    first = write_version(folder / "first", WORDS, weight=1.0, report=page)
    Manifest.read(first).model_copy(update={"evaluation": EVALUATION}).write(first)
    store.publish(first)
    with Stack(store.folder.parent, folder / "log") as running:
        broken = write_version(folder / "broken", WORDS)
        with (broken / "tokenizer.json").open("a") as stream:
            stream.write("\n")
        broken.rename(store.folder / "2")
        wait_until(lambda: [one["state"] for one in models(running)] == ["failed", "current"], 20, "version 2 failed")
        yield running


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("the web page is not tested: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = program
    profile = tmp_path_factory.mktemp("profile")
    rules = f"MAP {HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    for option in [*CHROMIUM_OPTIONS, f"--user-data-dir={profile}", f"--host-resolver-rules={rules}"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    with Chrome(options, ChromeService(driver)) as browser:  # its end quits all of Chromium
        yield browser


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
    wait_until(lambda: first_label(browser) == "Animal", 10, "an answer")
    assert len([url for url in requested(browser) if "/classify?" in url]) == 1


def test_an_error_takes_the_place_of_the_answer(browser: Chrome) -> None:
    type_sentence(browser, "cat")
    wait_until(lambda: first_label(browser) == "Animal", 10, "an answer")
    type_sentence(browser, "\u200b", Keys.ENTER)  # no white space to a browser, but nothing visible to the gateway
    wait_until(lambda: "at least one visible character" in shown(browser, "problem"), 10, "the error")
    assert shown(browser, "problem").endswith("(422)")
    assert not browser.find_element(By.ID, "result").is_displayed()
    type_sentence(browser, "oak", Keys.ENTER)
    wait_until(lambda: first_label(browser) == "Plant", 10, "an answer")
    assert not browser.find_element(By.ID, "problem").is_displayed()


def test_an_empty_sentence_is_no_question(browser: Chrome) -> None:
    type_sentence(browser, "cat", Keys.ENTER)
    wait_until(lambda: first_label(browser) == "Animal", 10, "an answer")
    type_sentence(browser, "")
    wait_until(browser.find_element(By.ID, "empty").is_displayed, 10, "no answer")
    browser.find_element(By.ID, "example").click()
    wait_until(browser.find_element(By.ID, "result").is_displayed, 10, "the example's answer")
    assert sentence_field(browser).get_property("value") == "Mapa aprende un nuevo lenguaje"


def test_a_label_that_is_markup_is_shown_as_text(browser: Chrome) -> None:
    type_sentence(browser, "rock", Keys.ENTER)
    wait_until(lambda: first_label(browser) == HOSTILE, 10, "an answer")
    assert browser.find_element(By.CSS_SELECTOR, "#labels li .label").text == HOSTILE
    assert browser.find_elements(By.TAG_NAME, "img") == []
    with pytest.raises(NoAlertPresentException):
        browser.switch_to.alert.accept()


def test_a_cut_sentence_is_marked(browser: Chrome) -> None:
    type_sentence(browser, "cat " * 14, Keys.ENTER)
    wait_until(lambda: first_label(browser) == "Animal", 10, "an answer")
    assert not browser.find_element(By.ID, "note").is_displayed()
    type_sentence(browser, "oak " * 15, Keys.ENTER)
    wait_until(lambda: first_label(browser) == "Plant", 10, "an answer")
    assert "limit of 16 tokens" in shown(browser, "note")


def test_an_outdated_answer_does_not_overwrite_a_newer_one(browser: Chrome) -> None:
    browser.execute_script("""
        const real = window.fetch;
        window.fetch = async (path, options) => {
            const late = path.includes("oak");
            const response = await real(path, {...options, signal: undefined});  // as if the abort came too late
            if (late) await new Promise((done) => setTimeout(done, 1000));
            window.lateAnswer = late;
            return response;
        };""")
    type_sentence(browser, "oak", Keys.ENTER)
    type_sentence(browser, "cat", Keys.ENTER)
    wait_until(lambda: first_label(browser) == "Animal", 10, "the newer answer")
    wait_until(lambda: browser.execute_script("return window.lateAnswer"), 10, "the outdated answer")
    assert first_label(browser) == "Animal"


def test_versions_are_listed_with_what_is_wrong(browser: Chrome, stack: Stack) -> None:
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
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert browser.find_element(By.TAG_NAME, "html").get_property("scrollWidth") <= width
        assert browser.find_element(By.CSS_SELECTOR, "svg.chart").size["width"] > 200
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_key_is_asked_for_where_one_is_needed(chromium: Chrome, stack: Stack, tmp_path: Path) -> None:
    with gateway_with_key(stack) as port:
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
        wait_until(chromium.find_element(By.ID, "versions").is_displayed, 10, "the versions")
        assert not form.is_displayed()
        downloads = {"behavior": "allow", "downloadPath": str(tmp_path), "eventsEnabled": False}
        chromium.execute_cdp_cmd("Browser.setDownloadBehavior", downloads)
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
    wait_until(lambda: first_label(browser) == "Animal", 10, "an answer")
    urls = requested(browser)
    assert {urlsplit(url).path for url in urls} >= {"/", "/page.css", "/page.js", "/models", "/classify"}
    assert {urlsplit(url).netloc for url in urls} == {f"{HOST}:{stack.ports['GATEWAY_PORT']}"}
    assert complaints(browser) == []


def test_the_documentation_asks_no_other_host_and_is_usable(chromium: Chrome, stack: Stack) -> None:
    open_page(chromium, stack.ports["GATEWAY_PORT"], "/docs")
    paths = stack.client.get("/openapi.json").json()["paths"]
    operations = sum(len(methods) for methods in paths.values())
    wait_until(lambda: len(chromium.find_elements(By.CLASS_NAME, "opblock")) == operations, 20, "the operations")
    assert not {"/", "/docs", "/page.js"} & set(paths)
    click(chromium, ".opblock-get .opblock-summary-control")
    click(chromium, ".try-out__btn")
    wait_for(chromium, "tr[data-param-name=sentence] input").send_keys("cat", Keys.TAB)  # it is read when left
    click(chromium, ".opblock-get .execute")
    wait_until(lambda: "x-model-version" in chromium.find_element(By.TAG_NAME, "body").text, 20, "an answer")
    urls = requested(chromium)
    assert any("/classify?sentence=" in url for url in urls)
    assert {urlsplit(url).netloc for url in urls} == {f"{HOST}:{stack.ports['GATEWAY_PORT']}"}
    assert complaints(chromium) == []


def models(stack: Stack) -> list[dict[str, str]]:
    answer: list[dict[str, str]] = stack.client.get("/models").json()["versions"]
    return answer


@contextlib.contextmanager
def gateway_with_key(stack: Stack) -> Iterator[int]:
    """The port of one more gateway before the stack's Triton, one that answers only with a key."""
    (port,) = free_ports(1)
    env = {**stack.env, "API_KEYS": KEY, "GATEWAY_PORT": str(port)}
    with subprocess.Popen([sys.executable, "-m", "gateway"], cwd=ROOT, env=env) as gateway:
        try:
            wait_until(lambda: is_ready(port), 20, "the gateway with a key is ready")
            yield port
        finally:
            gateway.send_signal(signal.SIGTERM)


def is_ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def open_page(browser: Chrome, port: int, path: str = "/") -> None:
    """Open it anew, with empty logs."""
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(f"http://{HOST}:{port}{path}")


def sentence_field(browser: Chrome) -> WebElement:
    return browser.find_element(By.ID, "sentence")


def type_sentence(browser: Chrome, *keys: str) -> None:
    """Replace the sentence, key by key."""
    sentence_field(browser).send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE, *keys)


def shown(browser: Chrome, element: str) -> str:
    text: str = browser.execute_script("return document.getElementById(arguments[0]).textContent", element)
    return text


def answer_of(browser: Chrome) -> list[tuple[str, str]]:
    """Labels and percentages that are shown, in one look."""
    script = "return [...document.querySelectorAll('#labels li')].map((row) => row.innerText.split('\\n'))"
    return [(row[0], row[1]) for row in browser.execute_script(script) if len(row) > 1]


def first_label(browser: Chrome) -> str | None:
    """The best label, if an answer is shown."""
    answer = answer_of(browser)
    return answer[0][0] if answer else None


def wait_for_answer(browser: Chrome, expected: list[tuple[str, str]]) -> None:
    WebDriverWait(browser, 10).until(lambda _: answer_of(browser) == expected, str(expected))


def requested(browser: Chrome) -> list[str]:
    """Addresses that the page asked, or tried to ask, since it was opened; images that are part of it are none."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith("data:")]


def complaints(browser: Chrome) -> list[str]:
    """What the browser finds wrong since the page was opened, such as a breach of the content security policy."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def wait_for(browser: Chrome, selector: str) -> WebElement:
    """The first such element, as soon as there is one."""
    found = WebDriverWait(browser, 20).until(lambda _: browser.find_elements(By.CSS_SELECTOR, selector), selector)
    return found[0]


def click(browser: Chrome, selector: str) -> None:
    """Click by script: Swagger UI moves while it unfolds, and a pointer would miss."""
    browser.execute_script("arguments[0].click()", wait_for(browser, selector))
