"""The compose files for real: images are built, the CPU variant runs, and a sentence is answered through its port."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from repository.store import ModelStore
from tests.integration.docker import TRAIN_TOO, ComposeProject, missing_engine
from tests.integration.test_service import new_store
from tests.version_folders import write_version
from tests.waiting import wait_until

MISSING = missing_engine()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"not run in containers: {MISSING}")

GATEWAY_IMAGE_BYTES = 250e6


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    return new_store(tmp_path_factory.mktemp("compose"))


@pytest.fixture(scope="module")
def project(store: ModelStore) -> Iterator[ComposeProject]:
    """Triton and the gateway over a folder of this machine, in which a version is published already."""
    repository = store.folder.parent
    with ComposeProject(repository.parent, MODEL_REPOSITORY=str(repository)) as running:
        running.compose("build", "triton", "gateway")
        running.up("triton", "gateway")
        yield running


def test_a_sentence_is_answered_through_the_published_port(project: ComposeProject) -> None:
    answer = project.classify("cat cat oak")
    assert answer.json() == [{"label": "Animal", "score": pytest.approx(0.9820138, abs=1e-6)}]
    assert answer.headers["x-model-version"] == "1"


def test_the_port_is_open_to_this_machine_alone(project: ComposeProject) -> None:
    ports = project.inspect("gateway")["NetworkSettings"]["Ports"]
    assert ports["8000/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": str(project.port)}]
    assert not any(project.inspect("triton")["NetworkSettings"]["Ports"].values())


def test_triton_has_no_way_out(project: ComposeProject) -> None:
    networks = project.inspect("triton")["NetworkSettings"]["Networks"]
    described = json.loads(subprocess.check_output(["docker", "network", "inspect", *networks]))
    assert [network["Internal"] for network in described] == [True]


def test_the_gateways_image_is_small_and_without_torch(project: ComposeProject) -> None:
    image = json.loads(subprocess.check_output(["docker", "image", "inspect", project.inspect("gateway")["Image"]]))[0]
    assert image["Size"] < GATEWAY_IMAGE_BYTES
    for module in ("torch", "transformers", "onnxruntime", "pip"):
        assert "ModuleNotFoundError" in project.sh("gateway", f"python3 -c 'import {module}'").stderr


@pytest.mark.parametrize("service", ["gateway", "triton"])
def test_a_container_runs_without_rights(project: ComposeProject, service: str) -> None:
    assert project.sh(service, "id -u").stdout.strip() == "10001"
    status = project.sh(service, "cat /proc/1/status").stdout
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    for path in ("/app/file", "/models/file", "/models/classifier/file"):
        assert "Read-only file system" in project.sh(service, f"touch {path}").stderr


def test_prometheus_can_read_both_from_the_inner_network(project: ComposeProject) -> None:
    for url, metric in (
        ("gateway:8000", 'classifier_ready{model="classifier"} 1.0'),
        ("triton:8102", "nv_inference_count"),
    ):
        script = f"import urllib.request as r; print(r.urlopen('http://{url}/metrics').read().decode())"
        assert metric in project.sh("gateway", f'python3 -c "{script}"').stdout


def test_a_version_that_is_published_while_it_runs_takes_over(
    project: ComposeProject, store: ModelStore, tmp_path: Path
) -> None:
    number = store.publish(write_version(tmp_path / "new", {"cat": "Pet", "oak": "Tree"}))
    wait_until(lambda: project.ready_version() == number, 20, "the new version answers")
    assert project.classify("cat").json()[0]["label"] == "Pet"


def test_the_gateway_outlives_a_triton_that_stops_in_time(project: ComposeProject) -> None:
    project.compose("stop", "triton")
    assert project.inspect("triton")["State"]["ExitCode"] == 0
    wait_until(lambda: project.client.get("/health/ready").status_code == 503, 15, "the gateway says so")
    project.up("triton")
    wait_until(lambda: project.ready_version() is not None, 30, "the gateway answers again")


def test_the_gateway_stops_in_time(project: ComposeProject) -> None:
    project.compose("stop", "gateway")
    assert project.inspect("gateway")["State"]["ExitCode"] == 0
    project.up("gateway")
    wait_until(lambda: project.ready_version() is not None, 30, "the gateway answers again")


@pytest.mark.skipif(TRAIN_TOO not in os.environ, reason=f"the image with torch is large: set {TRAIN_TOO}")
def test_a_fresh_clone_needs_nothing_but_up(tmp_path: Path) -> None:
    with ComposeProject(tmp_path) as project:
        project.compose("build", timeout_s=3600)
        project.compose("up", "--detach", "--wait", "triton", "gateway", timeout_s=3600)
        assert project.inspect("train")["State"]["ExitCode"] == 0
        answer = project.classify("Mapa aprende un nuevo lenguaje")
        assert answer.json()[0]["label"] == "Education"
        project.compose("up", "--detach", "--wait", "triton", "gateway")
        assert "Version 1 of classifier is published" in project.compose("logs", "train")
        assert project.ready_version() == 1
