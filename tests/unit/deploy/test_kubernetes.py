"""The manifests are valid, fit together, and set only what the programs read."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.settings import GatewaySettings
from repository.settings import LocationSettings
from server.settings import ServerSettings
from tests.kustomize import BUILDS, DEPLOY, Manifest, build, containers, of_kind

OLDEST = "1.30"
"""The release that brought the `sleep` of preStop."""
# The fields that their own definitions require, and the types of what is used here; Kubernetes' schemas know neither.
CUSTOM: dict[str, dict[str, type]] = {
    "serving.kserve.io/v1beta1 InferenceService": {
        "predictor.model.modelFormat.name": str,
        "predictor.model.storageUri": str,
        "predictor.minReplicas": int,
    },
    "keda.sh/v1alpha1 ScaledObject": {"scaleTargetRef.name": str, "triggers": list, "minReplicaCount": int},
    "monitoring.coreos.com/v1 ServiceMonitor": {"selector": dict, "endpoints": list},
}
AWS = {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def labels_of_pods(objects: list[Manifest]) -> list[dict[str, str]]:
    found = [item["spec"]["template"]["metadata"]["labels"] for item in of_kind(objects, "Deployment").values()]
    services = of_kind(objects, "InferenceService")
    return found + [{"serving.kserve.io/inferenceservice": name} for name in services]


def test_every_object_fits_its_schema(objects: list[Manifest]) -> None:
    for item in objects:
        kind = f"{item['apiVersion']} {item['kind']}"
        if kind not in CUSTOM:
            for version in (OLDEST, kubernetes_validate.latest_version()):
                kubernetes_validate.validate(item, version, strict=True)
            continue
        assert re.fullmatch(r"[a-z0-9-]+", item["metadata"]["name"])
        for path, expected in CUSTOM[kind].items():
            value: Any = item["spec"]
            for part in path.split("."):
                value = value[part]
            assert isinstance(value, expected), f"{kind}: {path}"


def test_names_differ(objects: list[Manifest]) -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(set(names)) == len(names)


def test_every_selector_meets_a_pod_or_a_service(objects: list[Manifest]) -> None:
    pods = labels_of_pods(objects)
    services = [item["metadata"]["labels"] for item in of_kind(objects, "Service").values()]
    found = 0
    for item in objects:
        spec = item.get("spec", {})
        candidates = services if item["kind"] == "ServiceMonitor" else pods
        selectors = [spec.get("selector", {}).get("matchLabels"), spec.get("podSelector", {}).get("matchLabels")]
        if item["kind"] == "Service":
            selectors = [spec["selector"]]
        peers = [peer for rule in spec.get("ingress", []) for peer in rule.get("from", [])]
        peers += [peer for rule in spec.get("egress", []) for peer in rule.get("to", [])]
        selectors += [peer["podSelector"]["matchLabels"] for peer in peers if "namespaceSelector" not in peer]
        for selector in filter(None, selectors):
            found += 1
            assert any(selector.items() <= labels.items() for labels in candidates), f"{item['kind']}: {selector}"
    assert found >= 5


def test_ports_are_those_of_the_containers(objects: list[Manifest]) -> None:
    open_ports = {}
    for name, deployment in of_kind(objects, "Deployment").items():
        for container in containers(deployment):
            named = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
            open_ports.setdefault(name, {}).update(named)
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                if probe in container:
                    assert container[probe]["httpGet"]["port"] in named
    for service in of_kind(objects, "Service").values():
        name = service["spec"]["selector"]["app.kubernetes.io/name"]
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= set(open_ports[name])
    for name, policy in of_kind(objects, "NetworkPolicy").items():
        allowed = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert allowed == set(open_ports[name].values())
    settings = of_kind(objects, "ConfigMap")["classifier-gateway-settings"]["data"]
    assert int(settings["GATEWAY_PORT"]) == open_ports["classifier-gateway"]["http"]
    if "classifier-triton" in open_ports:
        service = of_kind(objects, "Service")[settings["TRITON_HOST"]]
        ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
        assert int(settings["TRITON_HTTP_PORT"]) == ports["http"] == open_ports["classifier-triton"]["http"]
        assert ServerSettings().triton_http_port == ports["http"]
        assert ServerSettings().triton_metrics_port == ports["metrics"]


def test_only_the_gateway_reaches_triton(objects: list[Manifest]) -> None:
    policy = of_kind(objects, "NetworkPolicy").get("classifier-triton")
    if policy is None:
        assert of_kind(objects, "InferenceService"), "KServe's own"
        return
    to_http = [rule for rule in policy["spec"]["ingress"] if {"protocol": "TCP", "port": 8100} in rule["ports"]]
    peers = [peer for rule in to_http for peer in rule["from"]]
    assert peers == [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "classifier-gateway"}}}]
    assert "Egress" in policy["spec"]["policyTypes"]


def test_no_container_has_more_rights_than_it_needs(objects: list[Manifest]) -> None:
    for deployment in of_kind(objects, "Deployment").values():
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert pod["serviceAccountName"] in of_kind(objects, "ServiceAccount")
        for container in containers(deployment):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])


def test_a_pod_goes_only_after_another_is_ready_and_its_requests_are_answered(objects: list[Manifest]) -> None:
    for name, deployment in of_kind(objects, "Deployment").items():
        assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
        assert name in of_kind(objects, "PodDisruptionBudget")
        pod = deployment["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        drain_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
        stop_s = ServerSettings().triton_stop_seconds if name == "classifier-triton" else 10
        assert pod["terminationGracePeriodSeconds"] >= drain_s + stop_s
        readiness = container["readinessProbe"]
        assert drain_s >= readiness["periodSeconds"] * readiness["failureThreshold"] / 2
        assert "live" in container["livenessProbe"]["httpGet"]["path"], "a busy pod must not be killed"


def test_every_volume_is_mounted_and_every_mount_has_one(objects: list[Manifest]) -> None:
    claims = of_kind(objects, "PersistentVolumeClaim")
    for deployment in of_kind(objects, "Deployment").values():
        volumes = {volume["name"]: volume for volume in deployment["spec"]["template"]["spec"]["volumes"]}
        mounted = {mount["name"] for container in containers(deployment) for mount in container["volumeMounts"]}
        assert mounted == set(volumes)
        for volume in volumes.values():
            assert len(volume) == 2, f"one source: {volume}"
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims


def test_every_variable_is_a_setting_with_a_value_that_it_takes(objects: list[Manifest]) -> None:
    maps = of_kind(objects, "ConfigMap")
    for name, deployment in of_kind(objects, "Deployment").items():
        for container in containers(deployment):
            given = {}
            for source in container.get("envFrom", []):
                if "configMapRef" in source:
                    given.update(maps[source["configMapRef"]["name"]]["data"])
            given.update({entry["name"]: entry.get("value", "") for entry in container.get("env", [])})
            settings = {
                "gateway": GatewaySettings,
                "sync": LocationSettings,
                "triton": ServerSettings,
            }[container["name"]]
            known = {field.upper() for field in {**settings.model_fields, **GatewaySettings.model_fields}}
            assert set(given) <= known | AWS, name
            values = {key.lower(): value for key, value in given.items() if value}
            settings(**{key: value for key, value in values.items() if key in settings.model_fields})
            own = {entry["name"] for entry in container.get("env", [])}
            assert own <= {field.upper() for field in settings.model_fields}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not on PATH")
@pytest.mark.parametrize("name", BUILDS)
def test_kustomize_builds_the_same(name: str, tmp_path: Path) -> None:
    folder, components = BUILDS[name]
    copy = tmp_path / "deploy"
    shutil.copytree(DEPLOY, copy)
    top = copy / "kubernetes" / "top"
    top.mkdir()
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [f"../../{folder.relative_to(DEPLOY)}"],
        "components": [f"../components/{component.name}" for component in components],
    }
    (top / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    done = subprocess.run(["kubectl", "kustomize", str(top)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert by_name(yaml.safe_load_all(done.stdout)) == by_name(build(folder, {"components": components}))


def by_name(objects: Any) -> dict[tuple[str, str], Manifest]:
    return {(item["kind"], item["metadata"]["name"]): without_order(item) for item in objects}


def without_order(value: Any) -> Any:
    """Lists of maps in an order of their own: that of volumes and variables has no meaning."""
    if isinstance(value, dict):
        return {key: without_order(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((without_order(item) for item in value), key=lambda item: json.dumps(item, sort_keys=True))
    return value
