"""The page in Chromium, over small models of each kind, and what a test does with it."""

import contextlib
import json
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from repository.manifest import Evaluation, Manifest, ProblemType
from repository.store import ModelStore
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack, wait_until
from tests.reports import made_up_report
from tests.version_folders import write_version
from training.report.html_report import html_report

HOSTILE = "<img src=x onerror=alert(1)>"
WORDS = {"cat": "Animal", "oak": "Plant", "rock": HOSTILE}
EVALUATION = Evaluation(sentences=9, accuracy=0.7, macro_f1=0.5832, checkpoint_accuracy=0.7, checkpoint_macro_f1=0.58)
# Not the address: Swagger UI is more talkative where it does not find itself on the reader's own machine.
HOST = "gateway.test"
HOSTS = f"MAP {HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
AXE = (files("axe_core_python") / "axe.min.js").read_text(encoding="utf-8")
RUN_AXE = """
    const done = arguments[0];
    const told = ({id, nodes}) => `${id}: ` + nodes.map((node) => `${node.target} ${node.failureSummary}`).join(" | ");
    axe.run({resultTypes: ["violations"]}).then(({violations}) => done(violations.map(told)), (e) => done([String(e)]));
"""


class Web:
    """One Triton with a model of each kind, and a gateway for each that is asked for."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.folder = folder
        self._gateways: dict[str, Gateway] = {}
        self._opened = contextlib.ExitStack()

    def gateway(self, model: str, **settings: str) -> Gateway:
        """The one that answers for the model: `two` versions, `tags` (several labels), `number` or `pairs`."""
        name = "-".join([model, *settings])
        if name not in self._gateways:
            beside = gateway_beside(self.stack, self.folder / f"{name}.log", MODEL_NAME=model, **settings)
            self._gateways[name] = self._opened.enter_context(beside)
        return self._gateways[name]

    def close(self) -> None:
        """Stop the gateways."""
        self._opened.close()


@contextlib.contextmanager
def running_web(folder: Path) -> Iterator[Web]:
    """Of `classifier`, version 1 answers; version 2, put in past `publish`, is refused."""
    repository = folder / "repository"
    page = html_report(made_up_report(ProblemType.SINGLE_LABEL))
    first = write_version(folder / "first", WORDS, weight=1.0, report=page)
    Manifest.read(first).model_copy(update={"evaluation": EVALUATION}).write(first)
    store = publish(repository, "classifier", first)
    _publish_other_kinds(repository, folder)
    with Stack(repository, folder / "log") as stack:
        _put_in_broken(store, folder)
        wait_until(lambda: [one["state"] for one in models(stack)] == ["failed", "current"], 20, "version 2 failed")
        web = Web(stack, folder)
        try:
            yield web
        finally:
            web.close()


def _publish_other_kinds(repository: Path, folder: Path) -> None:
    words = {"cat": "Animal", "oak": "Plant"}
    publish(repository, "two", write_version(folder / "older", words, weight=1.0))
    publish(repository, "two", write_version(folder / "newer", {"cat": "Animal", "oak": "Tree"}, weight=1.0))
    publish(repository, "tags", write_version(folder / "tags", words, problem_type=ProblemType.MULTI_LABEL))
    numbers = {"weight": 1.25, "problem_type": ProblemType.REGRESSION}
    publish(repository, "number", write_version(folder / "number", {"good": "stars"}, **numbers))  # type: ignore[arg-type]
    pairs = write_version(folder / "pairs", {"cat": "same", "oak": "other"}, weight=1.0)
    manifest = Manifest.read(pairs)
    proved = manifest.parity.model_copy(update={"pairs": 4})
    manifest.model_copy(update={"token_types": True, "parity": proved}).write(pairs)
    publish(repository, "pairs", pairs)


def _put_in_broken(store: ModelStore, folder: Path) -> None:
    broken = write_version(folder / "broken", WORDS)
    with (broken / "tokenizer.json").open("a") as stream:
        stream.write("\n")
    broken.rename(store.folder / "2")


def models(stack: Stack) -> list[dict[str, str]]:
    answer: list[dict[str, str]] = stack.client.get("/models").json()["versions"]
    return answer


def open_page(browser: Chrome, port: int, path: str = "/", host: str = HOST) -> None:
    """Open it anew, with empty logs."""
    browser.get("about:blank")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.get(f"http://{host}:{port}{path}")


def open_question(browser: Chrome, port: int, host: str = "127.0.0.1", **question: str) -> None:
    """Open a link to a question, from the reader's own machine unless told otherwise."""
    path = "/?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in question.items())
    open_page(browser, port, path, host)


def sentence_field(browser: Chrome) -> WebElement:
    return browser.find_element(By.ID, "sentence")


def type_sentence(browser: Chrome, *keys: str) -> None:
    """Replace the sentence, key by key."""
    sentence_field(browser).send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.DELETE, *keys)


def set_sentence(browser: Chrome, text: str) -> None:
    """Put it in as a paste does; the driver cannot type every character."""
    script = "const field = document.getElementById('sentence'); field.value = arguments[0]; field.form.requestSubmit()"
    browser.execute_script(script, text)


def shown(browser: Chrome, element: str) -> str:
    text: str = browser.execute_script("return document.getElementById(arguments[0]).textContent", element)
    return text


def value_of(browser: Chrome, element: str) -> str:
    return str(browser.find_element(By.ID, element).get_property("value"))


def is_displayed(browser: Chrome, element: str) -> bool:
    return browser.find_element(By.ID, element).is_displayed()


def answer_of(browser: Chrome, labels: str = "labels") -> list[tuple[str, str]]:
    """Labels and percentages that are shown, in one look."""
    script = f"return [...document.querySelectorAll('#{labels} li')].map((row) => row.innerText.split('\\n'))"
    return [(row[0], row[1]) for row in browser.execute_script(script) if len(row) > 1]


def first_label(browser: Chrome, labels: str = "labels") -> str | None:
    """The best label, if an answer is shown."""
    answer = answer_of(browser, labels)
    return answer[0][0] if answer else None


def wait_for_label(browser: Chrome, label: str) -> None:
    wait_until(lambda: first_label(browser) == label, 10, f"the answer {label}")


def wait_for_answer(browser: Chrome, expected: list[tuple[str, str]]) -> None:
    WebDriverWait(browser, 10).until(lambda _: answer_of(browser) == expected, str(expected))


def hold_requests(browser: Chrome, after: int) -> None:
    """Let the server answer so many requests by POST, and none after them: they wait until the page gives them up."""
    browser.execute_script(
        """
        const real = window.fetch;
        let left = arguments[0];
        window.fetch = (path, options) => {
            if (options.method !== "POST" || left-- > 0) return real(path, options);
            const {signal} = options;
            return new Promise((_, refuse) => signal.addEventListener("abort", () => refuse(signal.reason)));
        };""",
        after,
    )


def keep_messages(browser: Chrome) -> None:
    """Let what the page shows for three seconds stay: on a busy machine they can pass between two looks."""
    browser.execute_script("""
        const real = window.setTimeout;
        window.setTimeout = (then, ms) => ms === 3000 ? 0 : real(then, ms);""")


def requested(browser: Chrome) -> list[str]:
    """Addresses that the page asked, or tried to ask, since it was opened; images that are part of it are none."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [url for url in urls if not url.startswith(("data:", "blob:"))]


def complaints(browser: Chrome) -> list[str]:
    """What the browser finds wrong since the page was opened, such as a breach of the content security policy."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def wait_for(browser: Chrome, selector: str) -> WebElement:
    """The first such element, as soon as there is one."""
    found = WebDriverWait(browser, 20).until(lambda _: browser.find_elements(By.CSS_SELECTOR, selector), selector)
    return found[0]


def click(browser: Chrome, selector: str) -> None:
    """Click by script: what moves while it unfolds would be missed by a pointer."""
    browser.execute_script("arguments[0].click()", wait_for(browser, selector))


def unfold(browser: Chrome, card: str) -> None:
    """Open what is one click away."""
    browser.execute_script("document.getElementById(arguments[0]).open = true", card)


def choose(browser: Chrome, element: str, value: str) -> None:
    """Choose an option by its value, as soon as it is offered."""
    wait_for(browser, f"#{element} option[value='{value}']")
    script = "const [id, value] = arguments, choice = document.getElementById(id); choice.value = value;"
    browser.execute_script(f"{script} choice.dispatchEvent(new Event('change', {{bubbles: true}}))", element, value)


def violations(browser: Chrome) -> list[str]:
    """What axe finds wrong for people who do not see the page, or not well, or use no mouse."""
    browser.execute_script(AXE)
    found: list[str] = browser.execute_async_script(RUN_AXE)
    return found


def look(browser: Chrome, width: int, height: int = 900, scheme: str = "light") -> None:
    """Make the window so wide, and the reader one who likes it light or dark, without motion."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in wishes.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def look_as_usual(browser: Chrome) -> None:
    """Undo `look`."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def downloads_to(browser: Chrome, folder: Path) -> None:
    """Keep what the page saves there."""
    where = {"behavior": "allow", "downloadPath": str(folder), "eventsEnabled": False}
    browser.execute_cdp_cmd("Browser.setDownloadBehavior", where)
