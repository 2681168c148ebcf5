"""The numbers of docs/guides/scaling.md follow from those that it says were measured."""

import re
from pathlib import Path

import pytest

from tests.places import ROOT

PAGE = (ROOT / "docs" / "guides" / "scaling.md").read_text(encoding="utf-8")
BASE = ROOT / "deploy" / "kubernetes" / "base"
MODEL_MS, GATEWAY_MS, PLANNED_LOAD = 4.5, 0.38, 0.7


def steps() -> list[tuple[float, float, float]]:
    """Sentences a second, Triton cores and gateway cores of each row past the first."""
    found = []
    for sentences, triton, gateway in re.findall(
        r"^\| ([\d,]+|10 million) \| ([\d,]+) \| ([\d,]+) \|", PAGE, re.MULTILINE
    ):
        per_second = 10_000_000.0 if sentences == "10 million" else float(sentences.replace(",", ""))
        found.append((per_second, float(triton.replace(",", "")), float(gateway.replace(",", ""))))
    return found


def test_the_cores_of_each_step_are_what_the_formulas_give() -> None:
    assert [step[0] for step in steps()] == [1_000, 100_000, 10_000_000]
    for per_second, triton, gateway in steps():
        # Whole cores, and no more digits than the measurements have.
        assert triton == pytest.approx(per_second * MODEL_MS / 1000 / PLANNED_LOAD, rel=0.01, abs=0.9)
        assert gateway == pytest.approx(per_second * GATEWAY_MS / 1000 / PLANNED_LOAD, rel=0.01, abs=0.9)


def test_the_page_calculates_with_what_it_says_was_measured() -> None:
    for text in (f"{MODEL_MS} ms (m)", f"{GATEWAY_MS} ms (m)", f"{PLANNED_LOAD:.0%}".replace("%", " %")):
        assert text in PAGE


def megabytes(quantity: str) -> float:
    """What Kubernetes' or Docker's way of writing it means."""
    number, unit = re.fullmatch(r"(\d+)(Mi|Gi|m|g)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * (2**20 if unit in ("Mi", "m") else 2**30) / 1e6


def limit_of(path: Path) -> float:
    (found,) = re.findall(r"limits: \{cpu: \"\d\", memory: (\w+)\}", path.read_text())
    return megabytes(found)


def test_the_compose_file_gives_a_gateway_as_much_as_the_cluster_does() -> None:
    (found,) = re.findall(r"GATEWAY_MEMORY:-(\w+)\}", (ROOT / "docker-compose.yaml").read_text())
    assert megabytes(found) == limit_of(BASE / "gateway.yaml")
