"""The gateway's latency against the load: closed loop over more and more connections, open loop at fixed rates."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from benchmarks.measure.http_load import LoadResult, closed_loop, get_requests
from benchmarks.measure.open_loop import open_loop

CONNECTIONS = (1, 2, 4, 8, 16, 32, 64, 128)
SHARES_OF_PEAK = (0.25, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5)

Report = Callable[[str], None]


@dataclass(frozen=True)
class LoadPoint:
    """One load and what callers got."""

    kind: str
    """`closed`: so many connections, each with one request at a time; `open`: so many requests a second."""
    offered: float
    """Connections, or requests a second."""
    answered_per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    refused: int
    """Answers that were no 200; an overloaded gateway refuses with 503."""
    unanswered: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def sweep_load(url: str, sentences: Sequence[str], seconds: float, report: Report) -> Iterator[LoadPoint]:
    """Measure `GET {url}/classify`: closed loop at each of `CONNECTIONS`, then open loop at shares of the best rate."""
    requests = get_requests(f"{url}/classify", sentences)
    closed_loop(url, requests[:256], 16)  # warm-up
    peak = 0.0
    rate = 20.0
    for connections in CONNECTIONS:
        report(f"{connections} connections")
        count = max(connections, min(len(requests), int(rate * seconds)))
        point = _point("closed", connections, closed_loop(url, requests[:count], connections))
        rate = point.answered_per_second
        peak = max(peak, rate)
        yield point
    for share in SHARES_OF_PEAK:
        report(f"{share:.0%} of the peak")
        yield _point("open", share * peak, open_loop(url, requests, share * peak, seconds))


def _point(kind: str, offered: float, result: LoadResult) -> LoadPoint:
    answered = result.statuses[200]
    p50, p90, p99 = (result.percentile_ms(share) if answered else 0.0 for share in (0.5, 0.9, 0.99))
    unanswered = result.statuses[0]
    refused = result.statuses.total() - answered - unanswered
    return LoadPoint(kind, offered, result.per_second, p50, p90, p99, refused, unanswered)
