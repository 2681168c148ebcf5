"""Dashboards and alerts name metrics that the gateway and Triton really export."""

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.deployment import DASHBOARDS, dashboard_expressions, metric_names, recorded, rule_expressions
from tests.integration.stack import Stack
from tests.integration.test_service import new_store

ENDINGS = {"histogram": ("_bucket", "_sum", "_count")}

# Exported where Triton finds an NVIDIA GPU: docs/user_guide/metrics.md of triton-inference-server/server, r24.10.
OF_A_GPU = {
    "nv_energy_consumption",
    "nv_gpu_memory_total_bytes",
    "nv_gpu_memory_used_bytes",
    "nv_gpu_power_limit",
    "nv_gpu_power_usage",
    "nv_gpu_utilization",
}
OF_PROMETHEUS = {"up"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("monitoring")
    features = {
        "WATCH": "true",
        "FEEDBACK": str(folder / "feedback"),
        "JOBS": str(folder / "jobs"),
    }  # which tell more where they are on
    with Stack(new_store(folder).folder.parent, folder / "log", **features) as stack:
        assert stack.classify("cat").status_code == 200
        gateway = stack.client.get("/metrics").text
        triton = httpx.get(f"http://127.0.0.1:{stack.ports['TRITON_METRICS_PORT']}/metrics").text
    return declared(gateway) | declared(triton) | OF_A_GPU | OF_PROMETHEUS | recorded()


def declared(text: str) -> set[str]:
    """The series that an exporter's text declares, those without a sample yet too."""
    types = re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE)
    return {name + ending for name, kind in types for ending in ENDINGS.get(kind, ("",))}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)
def test_a_dashboard_names_no_metric_that_nobody_exports(exported: set[str], path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    named = {name for expression in dashboard_expressions(dashboard) for name in metric_names(expression)}
    assert named - exported == set()
    assert named & OF_A_GPU


def test_a_rule_names_no_metric_that_nobody_exports(exported: set[str]) -> None:
    named = {name for expression in rule_expressions() for name in metric_names(expression)}
    assert named - exported == set()
