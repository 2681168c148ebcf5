"""Chromium for tests, which reaches nothing but this machine and keeps what its console says."""

import shutil
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

OPTIONS = [
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    *("--no-proxy-server", "--hide-scrollbars"),
]


def chromium(profile: Path, hosts: str = "MAP * ~NOTFOUND") -> Chrome:
    """A browser of its own, to be used in a `with`; without one on this machine the test is skipped.

    Args:
        profile: a new folder.
        hosts: Chromium's rules of what each name leads to; none leads anywhere, if not told otherwise.
    """
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not program or not driver:
        pytest.skip("pages are not tested: apt-get install chromium chromium-driver")
    options = ChromeOptions()
    options.binary_location = program
    for option in (*OPTIONS, f"--user-data-dir={profile}", f"--host-resolver-rules={hosts}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    return Chrome(options, ChromeService(driver))
