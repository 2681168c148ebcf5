"""What does `/metrics` show of the candidate? The figures of `/models`, which are those of all gateways together."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from gateway.candidates.schemas import AgreementNow, CandidateNow
from repository.names import visible

_FIGURES = {
    "classifier_candidate_version": "The version that is on trial; no value where none is.",
    "classifier_candidate_running": "1 while this gateway process asks the candidate.",
    "classifier_candidate_canary_share": "Share of requests that the candidate answers.",
    "classifier_candidate_compared": "Mirrored sentences that both versions answered, in all gateways.",
    "classifier_candidate_confident_changes": "Those answered otherwise although the current version was sure.",
    "classifier_candidate_errors": "Sentences that the current version answers and the candidate does not.",
    "classifier_candidate_dropped": "Sampled sentences that were not asked.",
    "classifier_candidate_score_shift": "What the score of the current version's label changes by, in the mean.",
    "classifier_candidate_latency_ratio": "Times as long as the current version, on the same sentences: the median.",
}


def candidate_metrics(now: CandidateNow | None) -> Iterator[Metric]:
    """The state of the trial."""
    values = _values(now) if now is not None else {}
    for name, meaning in _FIGURES.items():
        yield GaugeMetricFamily(name, meaning, value=values.get(name))
    failed = GaugeMetricFamily(
        "classifier_candidate_failed",
        "1 while it is about to be rejected, with the reason.",
        labels=["reason"],
    )
    if now is not None and now.state == "failed":
        failed.add_metric([visible(now.reason or "")], 1)
    yield failed
    agreement = GaugeMetricFamily(
        "classifier_candidate_agreement",
        "Share of mirrored sentences with the current version's answer, and its 95 % bounds.",
        labels=["bound"],
    )
    if now is not None and now.agreement is not None and now.agreement.share is not None:
        bounds = {"observed": now.agreement.share, "lower": now.agreement.lower, "upper": now.agreement.upper}
        for bound, value in bounds.items():
            agreement.add_metric([bound], value)
    yield agreement
    yield _by("label", "the current version's label", now.by_label if now is not None else {})
    yield _by("script", "the script of the sentence", now.by_script if now is not None else {})


def _values(now: CandidateNow) -> Mapping[str, float | None]:
    counts = now.agreement
    return {
        "classifier_candidate_version": now.version,
        "classifier_candidate_running": now.state == "runs",
        "classifier_candidate_canary_share": now.canary,
        "classifier_candidate_compared": counts.compared if counts is not None else 0,
        "classifier_candidate_confident_changes": counts.confident_changes if counts is not None else 0,
        "classifier_candidate_errors": now.errors,
        "classifier_candidate_dropped": now.dropped,
        "classifier_candidate_score_shift": now.score_shift,
        "classifier_candidate_latency_ratio": now.latency_ratio,
    }


def _by(group: str, what: str, groups: Mapping[str, AgreementNow]) -> Metric:
    family = GaugeMetricFamily(
        f"classifier_candidate_agreement_by_{group}", f"The same, by {what}.", labels=[group, "bound"]
    )
    for name, counts in groups.items():
        family.add_metric([visible(name), "observed"], counts.share or 0.0)
        family.add_metric([visible(name), "lower"], counts.lower)
    return family
