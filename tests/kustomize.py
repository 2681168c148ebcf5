"""What `kustomize build` gives for the manifests in `deploy`, for machines without it: the part of it that they use.

Resources and components are read in order, then each kustomization's patches are applied, in order. A strategic merge
patch replaces scalars, merges maps, removes what is null and merges lists by the key that Kubernetes names for them; a
JSON patch knows `add` and `replace`. Where `kubectl` is at hand, a test compares the two.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.places import ROOT

Manifest = dict[str, Any]

DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
COMPONENTS = [KUBERNETES / "components" / name for name in ("s3", "keda", "prometheus")]
BUILDS: dict[str, tuple[Path, list[Path]]] = {
    "cpu": (KUBERNETES / "overlays" / "cpu", []),
    "gpu": (KUBERNETES / "overlays" / "gpu", []),
    "cpu with all components": (KUBERNETES / "overlays" / "cpu", COMPONENTS),
    "gpu with all components": (KUBERNETES / "overlays" / "gpu", COMPONENTS),
    "kserve": (DEPLOY / "kserve", []),
}
MERGE_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
}
KNOWN = {"apiVersion", "kind", "resources", "components", "patches"}


def build(folder: Path, extra: Mapping[str, list[Path]] | None = None) -> list[Manifest]:
    """Every object of a kustomization; `extra` adds `components` to it, as an overlay of one's own would."""
    return _build(folder, [], (extra or {}).get("components", []))


def of_kind(objects: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Objects of a kind, by name."""
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def containers(deployment: Manifest) -> list[Manifest]:
    """Those of its pods, the ones that run first before the others."""
    pod = deployment["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


def _build(folder: Path, objects: list[Manifest], more: list[Path]) -> list[Manifest]:
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(kustomization) <= KNOWN, f"{folder}: this knows only {KNOWN}"
    for name in kustomization.get("resources", []):
        path = folder / name
        objects = objects + (build(path) if path.is_dir() else _documents(path.read_text()))
    for component in [*(folder / name for name in kustomization.get("components", [])), *more]:
        objects = _build(component, objects, [])
    for patch in kustomization.get("patches", []):
        text = patch.get("patch") or (folder / patch["path"]).read_text()
        objects = _patched(objects, _documents(text), patch.get("target"))
    return objects


def _documents(text: str) -> list[Any]:
    return [document for document in yaml.safe_load_all(text) if document]


def _patched(objects: list[Manifest], documents: list[Any], target: Mapping[str, str] | None) -> list[Manifest]:
    if target is not None:
        found = [item for item in objects if _is_meant(item, target)]
        assert found, f"no object is meant by {target}"
        for item in found:
            for operation in documents[0]:
                _operate(item, operation)
        return objects
    for patch in documents:
        meant = {"kind": patch["kind"], "name": patch["metadata"]["name"]}
        (item,) = [item for item in objects if _is_meant(item, meant)]
        if patch.get("$patch") == "delete":
            objects = [other for other in objects if other is not item]
        else:
            _merge(item, patch)
    return objects


def _is_meant(item: Manifest, target: Mapping[str, str]) -> bool:
    return item["kind"] == target["kind"] and target.get("name") in (None, item["metadata"]["name"])


def _operate(item: Manifest, operation: Mapping[str, Any]) -> None:
    *parents, last = operation["path"].strip("/").split("/")
    place: Any = item
    for part in parents:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if operation["op"] == "add" and last == "-":
        place.append(operation["value"])
    elif operation["op"] == "add" and isinstance(place, dict):
        place[last] = operation["value"]
    else:
        assert operation["op"] == "replace", operation
        place[int(last) if isinstance(place, list) else last] = operation["value"]


def _merge(base: Manifest, patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if value is None:
            base.pop(key, None)
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            _merge(base[key], value)
        elif isinstance(value, list) and key in MERGE_KEYS and key in base:
            base[key] = _merged_list(base[key], value, MERGE_KEYS[key])
        else:
            base[key] = {k: v for k, v in value.items() if v is not None} if isinstance(value, dict) else value


def _merged_list(base: list[Manifest], patch: list[Manifest], key: str) -> list[Manifest]:
    known = {item[key]: item for item in base}
    added = []
    for item in patch:
        if item[key] in known:
            _merge(known[item[key]], item)
        else:
            added.append(item)
    return [*added, *base]
