"""Reads what lies in deploy/ and the compose files beside it."""

import re
from pathlib import Path
from typing import Any

import yaml

from tests.places import ROOT

COMPOSE_FILES = (ROOT / "docker-compose.yaml", ROOT / "docker-compose.cpu.yaml")
GRPC_COMPOSE_FILE = ROOT / "docker-compose.grpc.yaml"
DOCKERFILES = sorted((ROOT / "deploy" / "docker").glob("*.Dockerfile"))
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
PROMETHEUS = ROOT / "deploy" / "prometheus"

_WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "offset", "bool", "group_left", "group_right"}


RESET = object()
"""What a second file puts where it takes the first one's value away."""


class ComposeLoader(yaml.SafeLoader):
    """YAML with Compose's tags for values that a second file takes away or puts in another's place."""


ComposeLoader.add_constructor("!reset", lambda _loader, _node: RESET)
ComposeLoader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node))


def compose_file(path: Path) -> dict[str, Any]:
    """A compose file, not yet merged with another nor filled in from the environment."""
    return dict(yaml.load(path.read_text(encoding="utf-8"), ComposeLoader))


def without_resets(node: Any) -> Any:
    """What is left of a second file when it only adds."""
    if isinstance(node, dict):
        return {key: without_resets(value) for key, value in node.items() if value is not RESET}
    return node


def metric_names(expression: str) -> set[str]:
    """The metrics that a PromQL expression names."""
    bare = re.sub(r'"[^"]*"', "", expression)
    bare = re.sub(r"\{[^}]*\}|\[[^\]]*\]", "", bare)
    bare = re.sub(r"\b(by|without|on|ignoring)\s*\([^)]*\)", "", bare)
    return set(re.findall(r"\b[a-zA-Z_:][\w:]*\b(?!\s*\()", bare)) - _WORDS


def rules() -> list[dict[str, Any]]:
    """Every rule of Prometheus: alerts, and series that are recorded."""
    files = [
        yaml.safe_load((PROMETHEUS / name).read_text(encoding="utf-8")) for name in ("alerts.yaml", "promises.yaml")
    ]
    return [rule for content in files for group in content["groups"] for rule in group["rules"]]


def rule_expressions() -> list[str]:
    """The expressions of every rule."""
    return [rule["expr"] for rule in rules()]


def recorded() -> set[str]:
    """The series that rules record, which the other rules and dashboards may name as metrics."""
    return {rule["record"] for rule in rules() if "record" in rule}


def dashboard_expressions(dashboard: dict[str, Any]) -> list[str]:
    """The expressions of every panel and annotation."""
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return targets + [annotation["expr"] for annotation in dashboard["annotations"]["list"]]
