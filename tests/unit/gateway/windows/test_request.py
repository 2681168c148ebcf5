"""What a request says comes before the settings, and the header names the long texts of a batch."""

import pytest

from gateway.schemas import Options
from gateway.settings import GatewaySettings
from gateway.windows.cutting import Windows
from gateway.windows.request import MOST_NAMED, windows_header, windows_wanted

WINDOWS = GatewaySettings(long_text="windows", window_overlap=8, window_join="max", max_windows=9)


def test_the_request_comes_before_the_settings() -> None:
    assert windows_wanted(Options(), GatewaySettings()) is None
    assert windows_wanted(Options(), WINDOWS) == Windows(8, "max", 9)
    assert windows_wanted(Options(long_text="truncate"), WINDOWS) is None
    assert windows_wanted(Options(window_join="mean"), WINDOWS) == Windows(8, "mean", 9)
    assert windows_wanted(Options(long_text="windows"), GatewaySettings()) == Windows(64, "mean", 128)
    assert windows_wanted(Options(window_join="max"), GatewaySettings()) is None


@pytest.mark.parametrize(("windows", "header"), [([3], "3"), ([1, 3, 1, 4], "2=3, 4=4"), ([2, 1], "1=2")])
def test_the_header_names_the_long_texts(windows: list[int], header: str) -> None:
    assert windows_header(windows) == header


def test_a_header_is_never_longer_than_a_proxy_takes() -> None:
    header = windows_header([100] * 5000)
    assert header.startswith("1=100, 2=100, ")
    assert header.endswith(f", {MOST_NAMED}=100, ...")
    assert len(header) < 4096
