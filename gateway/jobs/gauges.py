"""What Prometheus reads of jobs beside the counters."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

STATES = ("queued", "running", "done", "failed", "cancelled")


def families(counts: Mapping[str, int], used_bytes: int) -> Iterator[Metric]:
    """How many jobs of a model there are by state, and what all jobs take of the disk."""
    jobs = GaugeMetricFamily("classifier_jobs", "Jobs that are kept, by state.", labels=("state",))
    for state in STATES:
        jobs.add_metric([state], counts.get(state, 0))
    used = GaugeMetricFamily("classifier_jobs_bytes", "What the jobs of all models take of the disk, in bytes.")
    used.add_metric([], used_bytes)
    yield from (jobs, used)
