"""The numbers of docs/scaling.md follow from the measured ones that the README has, too."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "scaling.md").read_text(encoding="utf-8")
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
