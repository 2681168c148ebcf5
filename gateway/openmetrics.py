"""Who gets metrics in OpenMetrics' format, which has exemplars? Who prefers it to Prometheus's own, and says so."""

from collections.abc import Iterator
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

PLAIN_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_OPENMETRICS = "application/openmetrics-text"
_LONGEST_ACCEPT = 4096


def prefers_openmetrics(accept: str) -> bool:
    """Whether a header `Accept` names the format, and no plain text that it likes better.

    Wildcards ask for nothing in particular: they get what they always got.
    """
    wanted = {_OPENMETRICS: 0.0, "text/plain": 0.0}
    for part in accept[:_LONGEST_ACCEPT].split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name in wanted:
            wanted[name] = max(wanted[name], _quality(parameters))
    return wanted[_OPENMETRICS] > 0 and wanted[_OPENMETRICS] >= wanted["text/plain"]


def openmetrics_text(*collectors: Collector) -> bytes:
    """All that they collect, as one text with one end."""
    text: bytes = generate_latest(_Together(collectors))  # type: ignore[no-untyped-call]
    return text


class _Together:
    def __init__(self, collectors: Any) -> None:
        self._collectors = collectors

    def collect(self) -> Iterator[Metric]:
        for collector in self._collectors:
            yield from collector.collect()


def _quality(parameters: list[str]) -> float:
    """The weight of a range (RFC 9110, 12.4.2): 1 where none is said, 0 for what is none."""
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return 0.0
    return 1.0
