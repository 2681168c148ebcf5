"""What Prometheus reads of jobs beside the counters."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

STATES = ("queued", "running", "done", "failed", "cancelled")


def families(counts: Mapping[str, int], waited_s: float, used_bytes: int, most_bytes: int) -> Iterator[Metric]:
    """How the jobs of a model stand.

    Args:
        counts: how many there are, by state.
        waited_s: how long the oldest of those has waited that wait; 0 if none does.
        used_bytes: what all jobs, of all models, take of the disk.
        most_bytes: what they may take.
    """
    jobs = GaugeMetricFamily("classifier_jobs", "Jobs that are kept, by state.", labels=("state",))
    for state in STATES:
        jobs.add_metric([state], counts.get(state, 0))
    yield jobs
    for name, meaning, value in (
        ("oldest_queued_seconds", "How long the oldest job that waits has waited, 0 if none does.", waited_s),
        ("bytes", "What the jobs of all models take of the disk, in bytes.", used_bytes),
        ("bytes_limit", "What they may take, JOBS_MAX_MB, in bytes.", most_bytes),
    ):
        gauge = GaugeMetricFamily(f"classifier_jobs_{name}", meaning)
        gauge.add_metric([], value)
        yield gauge
