"""The documentation builds strictly, needs no other host, and every page opens in a browser from the disk."""

import os
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.browser import chromium
from tests.places import ROOT

# What a browser fetches by itself; where a link leads is its reader's choice.
FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}
NARROW = 390


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    built = build(ROOT / "mkdocs.yml", folder)
    assert built.returncode == 0, built.stderr
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with chromium(tmp_path_factory.mktemp("profile")) as running:
        yield running


def build(config: Path, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mkdocs", "build", "--config-file", str(config), "--site-dir", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"})


def pages(site: Path) -> list[Path]:
    found = sorted(site.rglob("*.html"))
    assert len(found) > 55
    return found


class Fetches(HTMLParser):
    """Collects the addresses of what a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if (name := FETCHED.get(tag)) and values.get(name) and values.get("rel") != "canonical":
            self.addresses.append(str(values[name]))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("[there](nowhere.md)", "nowhere.md"), ("[there](#nowhere)", "nowhere"), ("", "not included in the")],
)
def test_a_link_or_an_anchor_that_leads_nowhere_and_a_page_in_no_menu_end_the_build(
    text: str, complaint: str, tmp_path: Path
) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(f"# Start\n\n{text}\n")
    (tmp_path / "docs" / "other.md").write_text("# Other\n")
    own = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[0]
    own = own.replace("docs/theme", str(ROOT / "docs" / "theme"))
    nav = "[index.md, other.md]" if text else "[index.md]"
    (tmp_path / "mkdocs.yml").write_text(f"{own}\nnav: {nav}\n")
    built = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert built.returncode != 0
    assert complaint in built.stderr


def test_no_page_fetches_anything_from_another_host(site: Path) -> None:
    for page in pages(site):
        fetches = Fetches()
        fetches.feed(page.read_text(encoding="utf-8"))
        assert fetches.addresses
        for address in fetches.addresses:
            parts = urlsplit(address)
            assert (parts.scheme, parts.netloc) == ("", ""), f"{page}: {address}"
            if page.name != "404.html":  # which is served under any address
                assert (page.parent / parts.path).resolve().is_file(), f"{page}: {address}"
    for sheet in site.rglob("*.css"):
        assert "url(http" not in sheet.read_text(encoding="utf-8"), sheet


def test_every_page_opens_from_the_disk_without_an_error_and_fits_a_narrow_screen(site: Path, browser: Chrome) -> None:
    browser.set_window_size(500, 844)  # the least that Chromium has; the page itself is made narrower below
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": NARROW, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    diagrams = 0
    for page in pages(site):
        if page.name == "404.html":
            continue
        browser.get(page.as_uri())
        if b'class="mermaid"' in page.read_bytes():
            diagrams += 1
            # Mermaid's drawing is in a closed shadow root: what can be seen from outside is that it takes place.
            WebDriverWait(browser, 20).until(drawn)
        width = browser.execute_script("return document.documentElement.scrollWidth")
        assert width <= NARROW, f"{page} is {width} pixels wide"
        said = [entry for entry in browser.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
        assert not said, page
    assert diagrams >= 4, "pages with diagrams"


def drawn(browser: Chrome) -> bool:
    """Whether every diagram is drawn and none of its text is left."""
    found = browser.find_elements(By.CSS_SELECTOR, "div.mermaid")
    waiting = browser.find_elements(By.CSS_SELECTOR, "pre.mermaid")
    return bool(found) and not waiting and all(each.size["height"] > 40 for each in found)


def test_the_search_finds_a_page_from_the_disk(site: Path, browser: Chrome) -> None:
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.set_window_size(1280, 900)
    browser.get((site / "reference" / "settings.html").as_uri())
    browser.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys("SkipLayerNormalization")
    WebDriverWait(browser, 20).until(
        lambda _: any(
            "skip-layer-normalization" in str(found.get_attribute("href"))
            for found in browser.find_elements(By.CSS_SELECTOR, "a.md-search-result__link")
        )
    )


def test_the_menu_has_every_section() -> None:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    sections = [next(iter(each)) for each in yaml.safe_load(text) if isinstance(each, dict)]
    assert sections == ["Home", "Get started", "Guides", "Reference", "Explanation", "Decisions", "Contributing"]
