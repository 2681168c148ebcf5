"""What is scaled follows the processor or a metric that a gateway exports, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from gateway.batcher import Batcher, BatchLimits
from gateway.files import LocalFiles
from gateway.metrics import Metrics, ModelState
from gateway.triton import TritonClient
from gateway.versions import VersionFollower
from tests.kustomize import KUBERNETES, Manifest, of_kind


def queries(objects: list[Manifest]) -> Iterator[str]:
    for item in of_kind(objects, "ScaledObject").values():
        yield from (trigger["metadata"].get("query", "") for trigger in item["spec"]["triggers"])
    for rule in adapter_rules():
        yield from (rule["seriesQuery"], rule["metricsQuery"])


def adapter_rules() -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = yaml.safe_load((KUBERNETES / "prometheus-adapter.yaml").read_text())["rules"][
        "external"
    ]
    return rules


def exported(tmp_path: Path) -> set[str]:
    """Names of the samples that a gateway exports."""
    metrics, name = Metrics(), "classifier"
    triton = TritonClient.__new__(TritonClient)  # asked for nothing
    versions = VersionFollower(triton, LocalFiles(tmp_path), 1.0)
    batcher = Batcher(
        triton.infer, BatchLimits(calls=1, tokens=1, sentences=1, waiting=1, deadline_s=1.0), metrics.of(name)
    )
    metrics.request(name, "/classify", "200", seconds=0.1)
    text = metrics.render([ModelState(name, versions, batcher)]).decode()
    return {re.split(r"[{ ]", line)[0] for line in text.splitlines() if line and not line.startswith("#")}


def test_every_metric_that_scales_is_exported(objects: list[Manifest], tmp_path: Path) -> None:
    names = {name for query in queries(objects) for name in re.findall(r"\bclassifier_\w+", query)}
    assert names
    assert names <= exported(tmp_path)
    offered = {rule["name"]["as"] for rule in adapter_rules()}
    used: set[str] = set()
    for scaler in of_kind(objects, "HorizontalPodAutoscaler").values():
        wanted = {
            metric["external"]["metric"]["name"] for metric in scaler["spec"]["metrics"] if metric["type"] == "External"
        }
        assert scaler["spec"]["metrics"]
        assert wanted <= offered
        used |= wanted
        assert scaler["spec"]["scaleTargetRef"]["name"] in of_kind(objects, "Deployment")
    for scaler in of_kind(objects, "ScaledObject").values():
        assert scaler["spec"]["scaleTargetRef"]["name"] in of_kind(objects, "Deployment")
    assert of_kind(objects, "ScaledObject") or of_kind(objects, "HorizontalPodAutoscaler")
    # Under KServe, which scales Triton itself, there is nobody to ask for more.
    assert used in (set(), offered)


def test_gateways_follow_their_processor_time_and_tritons_the_wait_for_them(objects: list[Manifest]) -> None:
    scalers = {**of_kind(objects, "HorizontalPodAutoscaler"), **of_kind(objects, "ScaledObject")}
    followed = {
        scaler["spec"]["scaleTargetRef"]["name"]: {
            metric.get("resource", metric.get("external", {}).get("metric", {})).get("name")
            for metric in scaler["spec"].get("metrics", [])
        }
        | {trigger["type"] for trigger in scaler["spec"].get("triggers", [])}
        for scaler in scalers.values()
    }
    assert followed["classifier-gateway"] == {"cpu"}
    # KServe scales Triton itself.
    assert followed.get("classifier-triton") in ({"classifier_queue_seconds_mean"}, {"prometheus"}, None)
    containers = of_kind(objects, "Deployment")["classifier-gateway"]["spec"]["template"]["spec"]["containers"]
    assert all("cpu" in container["resources"]["requests"] for container in containers), "a share needs a whole"
