"""A real Kubernetes API server takes what lies in deploy/, without a warning. Pods are admitted, not run.

KUBERNETES_DEFINITIONS names a folder with the CustomResourceDefinitions of KServe, KEDA and the Prometheus operator as
YAML; objects of kinds that no file there defines are left out, and a skipped test says so.
"""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.control_plane import ControlPlane, missing
from tests.kustomize import BUILDS, Manifest, build, of_kind

if (MISSING := missing()) is not None:
    pytest.skip(f"not applied to a Kubernetes API server: {MISSING}", allow_module_level=True)

RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}
each_build = pytest.mark.parametrize("name", BUILDS)


def definitions() -> Iterator[dict[str, Any]]:
    folder = os.environ.get("KUBERNETES_DEFINITIONS")
    for path in sorted(Path(folder).glob("*.yaml")) if folder else []:
        yield from (document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document)


def objects(name: str) -> list[Manifest]:
    folder, components = BUILDS[name]
    return build(folder, {"components": components})


def known(plane: ControlPlane, items: list[Manifest]) -> list[Manifest]:
    """Those whose kind the API server serves; the others' definitions were not at hand."""
    found = []
    for item in items:
        try:
            plane.path(item, "default")
        except KeyError:
            continue
        found.append(item)
    return found


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    with ControlPlane(tmp_path_factory.mktemp("kubernetes")) as running:
        for definition in definitions():
            running.define(definition)
        for name in BUILDS:
            namespace = {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": namespace_of(name), "labels": RESTRICTED},
            }
            assert running.apply(namespace).is_success
        yield running


def namespace_of(name: str) -> str:
    return name.replace(" ", "-")


@each_build
def test_every_object_is_applied_without_a_warning(plane: ControlPlane, name: str) -> None:
    items = known(plane, objects(name))
    assert len(items) > 8
    for item in items:
        answer = plane.apply(item, namespace_of(name))
        assert answer.status_code == 201, f"{item['kind']} {item['metadata']['name']}: {answer.text}"
        # Deprecated fields, and pods that Pod Security's profile "restricted" would refuse.
        assert answer.headers.get_list("warning") == []


@each_build
def test_applying_again_changes_nothing(plane: ControlPlane, name: str) -> None:
    for item in known(plane, objects(name)):
        versions = set()
        for _ in range(2):
            answer = plane.apply(item, namespace_of(name))
            assert answer.is_success, answer.text
            versions.add(answer.json()["metadata"]["resourceVersion"])
        assert len(versions) == 1, f"{item['kind']} {item['metadata']['name']} is written anew"


@each_build
def test_what_is_given_is_what_is_kept(plane: ControlPlane, name: str) -> None:
    for item in known(plane, objects(name)):
        answer = plane.apply(item, namespace_of(name), dryRun="All")
        assert answer.is_success, answer.text
        assert differing(item, answer.json()) == []


@each_build
def test_a_pod_of_every_deployment_is_admitted_under_the_restricted_profile(plane: ControlPlane, name: str) -> None:
    items = objects(name)
    for account in of_kind(items, "ServiceAccount").values():
        assert plane.apply(account, namespace_of(name)).is_success
    deployments = of_kind(items, "Deployment")
    assert deployments
    for deployment in deployments.values():
        answer = plane.create(pod_of(deployment), namespace_of(name), dryRun="All")
        assert answer.status_code == 201, answer.text
        assert answer.headers.get_list("warning") == []


def test_a_pod_with_more_rights_is_refused(plane: ControlPlane) -> None:
    """What the test above relies on: the profile is enforced here."""
    items = objects("cpu")
    for account in of_kind(items, "ServiceAccount").values():
        assert plane.apply(account, "cpu").is_success
    pod = pod_of(of_kind(items, "Deployment")["classifier-gateway"])
    del pod["spec"]["containers"][0]["securityContext"]["capabilities"]
    answer = plane.create(pod, "cpu", dryRun="All")
    assert answer.status_code == 403
    assert "violates PodSecurity" in answer.json()["message"]


def test_a_field_that_kubernetes_does_not_know_is_refused(plane: ControlPlane) -> None:
    item = of_kind(objects("cpu"), "HorizontalPodAutoscaler")["classifier-triton"]
    item["spec"]["metrics"][0]["external"]["target"]["averageUtilisation"] = 70
    answer = plane.apply(item, "cpu", dryRun="All")
    assert not answer.is_success
    assert "averageUtilisation" in answer.text


@each_build
def test_kinds_of_other_projects_are_defined(plane: ControlPlane, name: str) -> None:
    items = objects(name)
    undefined = {item["kind"] for item in items} - {item["kind"] for item in known(plane, items)}
    if undefined:
        pytest.skip(f"KUBERNETES_DEFINITIONS names no folder that defines {', '.join(sorted(undefined))}")


def pod_of(deployment: Manifest) -> Manifest:
    template = copy.deepcopy(deployment["spec"]["template"])
    metadata = {**template["metadata"], "name": deployment["metadata"]["name"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def differing(given: Any, kept: Any, path: str = "") -> list[str]:
    """Where something that was given is not kept; what the API server adds is its own affair."""
    if isinstance(given, dict):
        return [
            line
            for key, value in given.items()
            if key in kept or value not in (None, [], {}, False)  # what says nothing is left out
            for line in (differing(value, kept[key], f"{path}.{key}") if key in kept else [f"{path}.{key}"])
        ]
    if isinstance(given, list):
        if len(given) != len(kept):
            return [path]
        return [line for a, b in zip(given, kept, strict=True) for line in differing(a, b, f"{path}[]")]
    return [] if given == kept else [path]
