"""Does a request want windows, and how is it told of them? Its options come before the settings."""

from collections.abc import Sequence

from gateway.schemas import Options
from gateway.settings import GatewaySettings
from gateway.windows.cutting import Windows

WINDOWS_HEADER = "X-Windows"
"""Of an answer to a text that was read in windows: how many."""
MOST_NAMED = 200
"""Sentences of a batch in that header: many a proxy takes 4 KB of headers and no more."""


def windows_wanted(options: Options, settings: GatewaySettings) -> Windows | None:
    """How the request's long texts are read in windows; None where they are cut."""
    if (options.long_text or settings.long_text) == "truncate":
        return None
    return Windows(settings.window_overlap, options.window_join or settings.window_join, settings.max_windows)


def windows_header(windows: Sequence[int]) -> str:
    """`3` for one text; of several those that were long, counted from 1: `2=3, 5=4`.

    Args:
        windows: how many windows each text was read in.
    """
    if len(windows) == 1:
        return str(windows[0])
    named = [f"{place}={count}" for place, count in enumerate(windows, start=1) if count > 1]
    return ", ".join(named if len(named) <= MOST_NAMED else [*named[:MOST_NAMED], "..."])
