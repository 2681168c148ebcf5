"""Texts that the Python client is asked, and what GET /classify answers to them."""

from typing import Any

import httpx

from tests.integration.stack import Stack
from text_classifier_client import Answer

WORDS = {"cat": "Animal", "oak": "Plant", "música": "Art"}
NAMES = ["cat", "oak", "música", *(f"w{number}" for number in range(40))]
TEXTS = [" ".join(NAMES[(7 * number + place) % len(NAMES)] for place in range(1 + number % 9)) for number in range(200)]
ODD = [
    '"cat"',
    "'oak cat'",
    "  cat  ",
    "cat\n\toak",
    "日本語 🎵 cat",
    "cat & oak=1?#/%",
    "x" * 5_000,
    "cat " * 100,
    "\u200bcat",
]


def by_get(stack: Stack, text: str, **options: Any) -> tuple[Any, httpx.Headers]:
    """What GET answers, and its headers."""
    answer = stack.client.get("/classify", params={"sentence": text, **options})
    assert answer.status_code == 200, answer.text
    return answer.json(), answer.headers


def plain(answer: Answer) -> list[dict[str, Any]]:
    """The answer as GET gives it."""
    return [{"label": each.label, "score": each.score} for each in answer.labels]
