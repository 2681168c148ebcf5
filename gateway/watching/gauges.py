"""What does Prometheus read of drift, beside the counters?"""

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.watching.drift import Drift


def families(drift: Drift | None) -> Iterator[Metric]:
    """The gauges; without values while there is no version."""
    index = GaugeMetricFamily(
        "classifier_drift_index",
        "Population stability index of the last sentences against the version's profile.",
        labels=["of"],
    )
    limit = GaugeMetricFamily(
        "classifier_drift_limit", "The index from which on more moved than chance explains.", labels=["of"]
    )
    for shift in [] if drift is None else drift.shifts:
        index.add_metric([shift.of], shift.index)
        limit.add_metric([shift.of], shift.limit)
    yield index
    yield limit
    yield GaugeMetricFamily(
        "classifier_drift_sentences",
        "Sentences of the current version in the window that drift is told of.",
        value=None if drift is None else drift.sentences,
    )
    unknown = GaugeMetricFamily(
        "classifier_unknown_token_share",
        "Share of tokens that the vocabulary does not know: `now`, and in the version's `profile`.",
        labels=["when"],
    )
    for when, share in (("now", drift.unknown_share), ("profile", drift.profile_unknown_share)) if drift else ():
        if share is not None:
            unknown.add_metric([when], share)
    yield unknown
