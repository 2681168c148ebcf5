"""The page of metrics: the gateway's, from the objects that count, and those of Triton that this project reads."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from gateway.candidates.gauges import candidate_metrics
from gateway.candidates.schemas import CandidateNow, figures_of
from gateway.feedback.answer_log import VersionFigures
from gateway.feedback.figures import families as feedback_families
from gateway.jobs.gauges import families as job_families
from gateway.metrics import Metrics, ModelState
from gateway.students import StudentState
from gateway.watching.counters import ASPECTS
from gateway.watching.drift import Drift, Shift
from gateway.watching.gauges import families as drift_families
from launcher.reference.markdown import GENERATED, code, plain, table
from repository.candidates.tally import Tally
from repository.candidates.trial import Trial

INTRODUCTION = """# Metrics

<!-- page: service -->

The gateway answers `GET /metrics` in Prometheus's text format; with `API_KEYS` it wants a key there, too. Counts are
those of all workers of one gateway. A counter's name ends in `_total`; a histogram comes as `_bucket`, `_sum` and
`_count`, so that the sum divided by the count is the mean. `deploy/prometheus/alerts.yaml` has rules for the metrics,
and `deploy/grafana/dashboards/classifier.json` a dashboard.

```console
$ curl -s http://127.0.0.1:8000/metrics | grep -E '^classifier_(ready|current_version)'
classifier_ready{model="classifier"} 1.0
classifier_current_version{model="classifier"} 1.0
```

## The gateway's
"""
TRITON_INTRODUCTION = """## Triton's

Triton answers on a port of its own (`TRITON_METRICS_PORT`). Of what it counts, the dashboard reads these; all are
labelled with `model` and `version`, those of a card with `gpu_uuid`. In the embedded Triton, batches may run on threads
of the backend, and the times of its compute then count too little: there, the gateway's
`classifier_triton_call_seconds` is the one to look at.
"""
# NVIDIA's own words for them are in Triton's user guide, under "Metrics".
TRITON = {
    "nv_inference_request_success": ("counter", "Requests answered; a request may carry many sentences."),
    "nv_inference_request_failure": ("counter", "Requests that failed."),
    "nv_inference_count": ("counter", "Sentences computed: a batch of eight counts as eight."),
    "nv_inference_exec_count": ("counter", "Executions of the graph: a batch of eight counts as one."),
    "nv_inference_queue_duration_us": ("counter", "Time that requests waited in Triton's own queue."),
    "nv_inference_compute_input_duration_us": ("counter", "Time for bringing inputs to the graph."),
    "nv_inference_compute_infer_duration_us": ("counter", "Time in the graph."),
    "nv_inference_compute_output_duration_us": ("counter", "Time for bringing the logits back."),
    "nv_gpu_utilization": ("gauge", "Share of the time that the card computes, 0 to 1."),
    "nv_gpu_memory_used_bytes": ("gauge", "Memory of the card that is taken."),
    "nv_gpu_memory_total_bytes": ("gauge", "Memory that the card has."),
    "nv_gpu_power_usage": ("gauge", "What the card takes now, in watts."),
}


def metrics_page() -> str:
    """The text of docs/reference/metrics.md."""
    own = table(("metric", "type", "labels", "meaning"), map(_row, _families()))
    triton = table(("metric", "type", "meaning"), ((code(name), kind, text) for name, (kind, text) in TRITON.items()))
    return "\n".join([GENERATED, INTRODUCTION, own, TRITON_INTRODUCTION, triton])


def _families() -> Iterator[Metric]:
    """Each metric as a gateway shows it: labels are shown only once something was counted under them."""
    metrics = Metrics()
    metrics.request("classifier", "/classify", "200", seconds=0.1)
    metrics.rejected.labels("BlankSentence")
    of_model = metrics.of("classifier")
    of_model.answered("student")
    of_model.watched.add({aspect: {"bin": 1} for aspect in ASPECTS})
    of_model.feedback.taken("yes")
    of_model.job_rows("answered")
    of_model.jobs_ended("done")
    of_model.mirrored("compared")
    of_model.canary("candidate")
    versions: Any = SimpleNamespace(current=None, problem=None, failures=lambda: {1: "reason"})
    batcher: Any = SimpleNamespace(waiting=0, calls_under_way=0)
    watch: Any = SimpleNamespace(delta=0.005, bar=0.9, raised=0, observed=lambda: (0.0, 0.0, 1.0))
    students: Any = SimpleNamespace(state=lambda: StudentState("answers", "", watch))
    drift = Drift(100, 60, True, [Shift("label", 0.1, 0.25)], 0.0, 0.0)
    given = [VersionFigures(1, 100, 10, 9, None), VersionFigures(2, 100, 10, 0, 0.5)]
    others = [lambda: drift_families(drift), lambda: feedback_families(given), lambda: candidate_metrics(_candidate())]
    others.append(lambda: job_families({}, 0.0, 0, 0))
    shown = metrics.render([ModelState("classifier", versions, batcher, students, others)])
    for family in text_string_to_metric_families(shown.decode()):
        if not family.name.endswith("_created"):  # when a count began, which the client adds to each
            yield family


def _candidate() -> CandidateNow:
    """One of which everything is known."""
    tally = Tally(version=2, against=1)
    tally.compare("label", "Latin", True, False, 0.0)
    trial = Trial(version=2, since=datetime.now(UTC))
    return CandidateNow.of(trial, figures_of(tally), 0.1, waits=None, failure="reason")


def _row(family: Metric) -> tuple[str, str, str, str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
    return code(name), family.type, ", ".join(map(code, labels)), plain(family.documentation)
