"""What lies in deploy/ is well formed and says what the code says; test_compose.py runs it."""

import importlib.resources
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import combinations
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from gateway.settings import GatewaySettings
from server.settings import ServerSettings
from server.triton import arguments
from tests.deployment import (
    COMPOSE_FILES,
    DASHBOARDS,
    DOCKERFILES,
    GRPC_COMPOSE_FILE,
    PROMETHEUS,
    RESET,
    ROOT,
    compose_file,
    dashboard_expressions,
    metric_names,
    without_resets,
)

MAIN, CPU = (compose_file(path) for path in COMPOSE_FILES)
SERVICES: dict[str, dict[str, Any]] = MAIN["services"]
GRAFANA = ROOT / "deploy" / "grafana" / "provisioning"
each_service = pytest.mark.parametrize("name", SERVICES)
each_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.name)


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def program(name: str) -> str | None:
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


@pytest.mark.parametrize("path", [*COMPOSE_FILES, GRPC_COMPOSE_FILE], ids=lambda path: path.name)
def test_a_compose_file_follows_the_compose_specification(path: Path) -> None:
    schema = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text(encoding="utf-8")))
    assert [error.message for error in validator.iter_errors(without_resets(compose_file(path)))] == []


@each_service
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"memory", "pids"} <= service["deploy"]["resources"]["limits"].keys()
    assert "privileged" not in service
    assert "cap_add" not in service


@each_service
def test_a_service_that_lasts_is_started_again_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["restart"] == ("no" if name == "train" else "unless-stopped")
    assert ("healthcheck" in service) == (name != "train")


@each_service
def test_an_image_is_built_here_or_pinned_to_a_release(name: str) -> None:
    service = SERVICES[name]
    assert "build" in service or re.search(r":v?\d+\.\d+[\w.-]*$", service["image"])


@each_service
def test_nothing_listens_beyond_this_machine_unless_told_so(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert re.match(r"(127\.0\.0\.1|\$\{GATEWAY_HOST:-127\.0\.0\.1\}):", port)


def test_triton_is_on_the_inner_network_alone() -> None:
    assert SERVICES["triton"]["networks"] == ["inner"]
    assert "ports" not in SERVICES["triton"]
    assert MAIN["networks"]["inner"] == {"internal": True}


def test_only_training_can_write_into_the_model_repository() -> None:
    mounts = {name: [v for v in s.get("volumes", []) if ":/models" in v] for name, s in SERVICES.items()}
    assert {name for name, found in mounts.items() if found} == {"train", "triton", "gateway", "airflow"}
    # Airflow's tasks train and publish, too.
    assert {name for name, found in mounts.items() for v in found if not v.endswith(":ro")} == {"train", "airflow"}


def test_each_service_waits_for_the_one_it_needs() -> None:
    waits = {name: service.get("depends_on") for name, service in SERVICES.items()}
    assert waits["triton"] == {"train": {"condition": "service_completed_successfully"}}
    assert waits["gateway"] == {"triton": {"condition": "service_healthy"}}
    assert waits["grafana"] == {"prometheus": {"condition": "service_healthy"}}


def test_nvidias_triton_gets_the_options_that_the_server_gives_one() -> None:
    script = SERVICES["triton"]["command"][-1]
    given = re.findall(r"--[\w-]+(?:=\S+)?", re.sub(r"\$\{\w+:-(\w+)\}", r"\1", script))
    settings = ServerSettings(
        model_repository=Path("/models"), triton_host="0.0.0.0", triton_http_threads=4, _env_file=None
    )
    settings = settings.model_copy(update={"triton_traces": True})
    expected = arguments(settings, Path("/opt/tritonserver/backends"), "classifier", gpu=True)
    assert sorted(re.sub("url=.*", "", option) for option in given) == sorted(
        re.sub("closed-api-key=.*", "closed-api-key=$$key", re.sub("url=.*", "", option)) for option in expected
    )


@pytest.mark.parametrize(
    ("environment", "traces"),
    [
        ({}, 0),
        ({"TRITON_TRACES": "false", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318"}, 0),
        ({"TRITON_TRACES": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://jaeger:4318"}, 5),
        ({"TRITON_TRACES": "true", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://jaeger:4318/v1/traces"}, 5),
    ],
)
def test_nvidias_triton_traces_where_it_is_told_to(tmp_path: Path, environment: dict[str, str], traces: int) -> None:
    """The command for real, with a program in Triton's place that prints its options."""
    stand_in = tmp_path / "tritonserver"
    stand_in.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stand_in.chmod(0o755)
    # As Compose fills it in: `$$` is the shell's.
    parts = SERVICES["triton"]["command"][-1].split("$$")
    script = "$".join(re.sub(r"\$\{\w+:-(\w+)\}", r"\1", part) for part in parts)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **environment}
    shown = subprocess.run(["sh", "-c", script], env=env, capture_output=True, text=True, check=True).stdout.split("\n")
    found = [option for option in shown if option.startswith("--trace-config=")]
    assert len(found) == traces
    if traces:
        assert "--trace-config=opentelemetry,url=http://jaeger:4318/v1/traces" in found


def test_every_setting_of_the_gateway_can_be_set_from_outside() -> None:
    fixed = {"MODEL_REPOSITORY", "GATEWAY_HOST", "GATEWAY_PORT", "TRITON_HOST", "TRITON_HTTP_PORT"}
    fixed |= {"MODEL_CACHE", "REPOSITORY_POLL_SECONDS"}  # of a repository in S3, where here is a volume
    settings = {name.upper() for name in GatewaySettings.model_fields}
    passed = {name for name in SERVICES["gateway"]["environment"] if not name.startswith("OTEL_")}
    assert settings - fixed == passed - fixed


def test_the_variant_for_grpc_publishes_the_port_that_it_sets() -> None:
    (name, over), *others = compose_file(GRPC_COMPOSE_FILE)["services"].items()
    assert (name, others) == ("gateway", [])
    port = over["environment"]["GRPC_PORT"]
    assert over["ports"] == [f"${{GATEWAY_HOST:-127.0.0.1}}:{port}:{port}"]
    extra = over["build"]["args"]["EXTRAS"]
    assert extra in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_the_cpu_variant_wants_no_gpu_and_no_image_but_pythons() -> None:
    for name, service in SERVICES.items():
        over = CPU["services"].get(name, {})
        if "devices" in service["deploy"]["resources"].get("reservations", {}):
            assert over["deploy"]["resources"] == {"reservations": RESET}, name
        if "profiles" not in service:
            assert "build" in service or "build" in over, name


def test_nobody_can_log_in_to_grafana() -> None:
    environment = SERVICES["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert not [name for name in environment if "PASSWORD" in name]


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_a_dockerfile_passes_its_linter(path: Path) -> None:
    hadolint = program("hadolint")
    assert hadolint, "hadolint is missing: make setup"
    found = run(hadolint, path)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.name)
def test_an_image_holds_pinned_packages_and_does_not_run_as_root(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    installs = [line for line in text.splitlines() if re.search(r"\bpip\b.* install ", line)]
    assert installs
    lock = "airflow" if path.name == "airflow.Dockerfile" else "app"
    assert all(f"-c locks/{lock}.txt" in line for line in installs)
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1:] == ["10001:10001"]


def test_requirements_are_those_of_the_project_and_of_the_extras() -> None:
    script = ROOT / "deploy" / "docker" / "requirements.py"
    lines = run(sys.executable, script, ROOT / "pyproject.toml", "gateway").stdout.splitlines()
    names = {re.split(r"[><=\[]", line)[0] for line in lines}
    assert {"pydantic", "fastapi", "tokenizers"} <= names
    assert not {"torch", "transformers", "onnxruntime"} & names


@pytest.mark.parametrize(
    "arguments",
    [("check", "config", "--syntax-only", "prometheus.yaml"), ("check", "rules", "alerts.yaml"),
     ("test", "rules", "alerts.test.yaml"), ("check", "rules", "promises.yaml"),
     ("test", "rules", "promises.test.yaml")],
    ids=["configuration", "rules", "when alerts fire", "promises", "when budgets burn"],
)  # fmt: skip
def test_prometheus_takes(arguments: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian package prometheus)")
    found = run(promtool, *arguments[:-1], PROMETHEUS / arguments[-1])
    assert found.returncode == 0, found.stdout + found.stderr


def test_prometheus_scrapes_the_services_at_the_ports_that_they_listen_on() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text(encoding="utf-8"))
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    fields = ServerSettings.model_fields
    assert targets == {
        "gateway": [f"gateway:{GatewaySettings.model_fields['gateway_port'].default}"],
        "triton": [f"triton:{fields['triton_metrics_port'].default}"],
    }


@each_dashboard
def test_a_dashboard_asks_the_data_source_that_is_provisioned(path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    provisioned = yaml.safe_load((GRAFANA / "datasources" / "prometheus.yaml").read_text(encoding="utf-8"))
    known = {(source["type"], source["uid"]) for source in provisioned["datasources"]}
    parts = [part for panel in dashboard["panels"] for part in (panel, *panel["targets"])]
    used = [part["datasource"] for part in (*parts, *dashboard["annotations"]["list"])]
    assert {(source["type"], source["uid"]) for source in used} == known


@each_dashboard
def test_panels_of_a_dashboard_lie_beside_each_other(path: Path) -> None:
    panels = json.loads(path.read_text(encoding="utf-8"))["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for one, other in combinations([panel["gridPos"] for panel in panels], 2):
        apart = any(one[a] + one[s] <= other[a] or other[a] + other[s] <= one[a] for a, s in (("x", "w"), ("y", "h")))
        assert apart, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in panels)


@each_dashboard
def test_a_dashboard_is_found_where_grafana_looks(path: Path) -> None:
    provider = yaml.safe_load((GRAFANA / "dashboards" / "dashboards.yaml").read_text(encoding="utf-8"))["providers"][0]
    mounts = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounts[f"./{path.parent.relative_to(ROOT)}"] == provider["options"]["path"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/{path.name}"


@each_dashboard
def test_metrics_are_found_in_the_expressions_of_a_dashboard(path: Path) -> None:
    expressions = dashboard_expressions(json.loads(path.read_text(encoding="utf-8")))
    assert all(metric_names(expression) for expression in expressions)
    ratio = 'sum by (le) (rate(a_bucket{route="/x"}[5m])) / on (b) c_total > 0.5 and absent(d) or vector(0)'
    assert metric_names(ratio) == {"a_bucket", "c_total", "d"}
