"""The memory limits in deploy/ hold what the guide to scaling says that versions take."""

import re
from typing import Any

import pytest

from gateway.named_versions import KEPT
from tests.deployment import compose_file
from tests.kustomize import BUILDS, build, of_kind
from tests.places import ROOT

GUIDE = (ROOT / "docs" / "guides" / "scaling.md").read_text(encoding="utf-8")
MIB, GIB = 2**20, 2**30
TOKENIZERS = 2 + KEPT
"""That a gateway holds at most: of the version that answers, of the next one, and of those that are asked by number."""


def measured(row: str) -> float:
    """A figure of the guide's table, in megabytes or sizes of a graph."""
    (figure,) = re.findall(rf"^\| {re.escape(row)}[^|]*\| ([\d.]+) ", GUIDE, re.MULTILINE)
    return float(figure)


def bytes_of(limit: str) -> int:
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|m|g)", limit).groups()  # type: ignore[union-attr]
    return int(number) * (MIB if unit in ("Mi", "m") else GIB)


def default_of(value: str) -> str:
    """What Compose puts for `${NAME:-default}`."""
    return re.sub(r"\$\{\w+:-(\w+)\}", r"\1", value)


def pod(name: str) -> dict[str, Any]:
    """Of a Deployment on CPUs."""
    folder, components = BUILDS["cpu"]
    deployment = of_kind(build(folder, {"components": components}), "Deployment")[name]
    return dict(deployment["spec"]["template"]["spec"])


def limit_of(name: str) -> int:
    (container,) = pod(name)["containers"]
    return bytes_of(container["resources"]["limits"]["memory"])


@pytest.fixture(scope="module")
def compose_limits() -> dict[str, int]:
    services = compose_file(ROOT / "docker-compose.yaml")["services"]
    return {
        name: bytes_of(default_of(services[name]["deploy"]["resources"]["limits"]["memory"]))
        for name in ("gateway", "triton")
    }


def test_a_gateway_s_limit_holds_all_tokenizers_that_it_can_have(compose_limits: dict[str, int]) -> None:
    base, each = measured("a gateway worker with a small tokenizer"), measured("a tokenizer of 250,000 pieces")
    needed = base + TOKENIZERS * each
    assert f"{base:.0f} MB + {TOKENIZERS} × {each:.0f} MB" in GUIDE
    assert f"= {needed:.0f} MB" in GUIDE
    assert min(limit_of("classifier-gateway"), compose_limits["gateway"]) > 1e6 * needed


def test_triton_s_limit_holds_a_swap_of_the_graph_that_the_guide_names(compose_limits: dict[str, int]) -> None:
    base, worst = measured("Triton itself"), measured("Triton's processes together at the worst moment of a swap")
    limit = limit_of("classifier-triton")
    (graph,) = re.findall(r"a graph of up to (\d+) MB$", GUIDE, re.MULTILINE)
    assert f"{base:.0f} MB + {worst:g} × graph" in GUIDE
    assert 1e6 * (base + worst * int(graph)) <= limit < 1e6 * (base + worst * (int(graph) + 1))
    assert compose_limits["triton"] >= limit


def test_there_is_room_for_the_files_that_triton_maps_while_two_versions_load() -> None:
    each = measured("the file that Triton maps")
    (volume,) = (volume for volume in pod("classifier-triton")["volumes"] if volume["name"] == "tmp")
    (tmpfs,) = compose_file(ROOT / "docker-compose.cpu.yaml")["services"]["triton"]["tmpfs"]
    for room in (bytes_of(volume["emptyDir"]["sizeLimit"]), bytes_of(tmpfs.split("=")[1])):
        assert room > 2 * each * 1e6 * 550  # the graph that the limit in overlays/cpu names
