"""The models that the tests of dialects ask: one label, several labels, a number; with words in several scripts."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx

from repository.manifest import Manifest, ProblemType
from repository.meaning.thresholds import LabelThreshold, Thresholds
from tests.integration.gateways import publish
from tests.integration.stack import Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

TOPICS, MOODS, PRICE = "topics", "moods", "price"
MODELS = (TOPICS, MOODS, PRICE)
WORDS = {"cat": "Animal", "oak": "Plant", "猫": "Animal", "дуб": "Plant", "🦊": "Animal", "stone": "Other"}
WEIGHTS = {"cat": 1.3, "oak": 0.7, "猫": 2.1, "дуб": 0.9, "🦊": 3.7, "stone": 0.1}
TEXTS = ["cat", "cat oak stone", "猫 дуб", "🦊 🦊 oak", "nothing known", '"cat oak"', "é ü ñ \u2028 cat"]
OWN_THRESHOLDS = [0.75, 0.51, 0.55]
"""Of `moods`, for Animal, Other and Plant."""
MAX_SENTENCES, MAX_BODY_BYTES, MAX_LENGTH = 8, 20_000, 16


@contextlib.contextmanager
def dialects_stack(folder: Path, **settings: str) -> Iterator[Stack]:
    """A service with these models, the one that answers one label first."""
    repository = folder / "repository"
    for name, problem in (
        (TOPICS, ProblemType.SINGLE_LABEL),
        (MOODS, ProblemType.MULTI_LABEL),
        (PRICE, ProblemType.REGRESSION),
    ):
        words = dict.fromkeys(WORDS, "price") if problem is ProblemType.REGRESSION else WORDS
        version = write_version(folder / name, words, MAX_LENGTH, weights=WEIGHTS, problem_type=problem)
        if name == MOODS:
            own = [LabelThreshold(threshold=one, positives=20, tuned=True) for one in OWN_THRESHOLDS]
            thresholds = Thresholds(labels=own, chosen_by="f1", origin="by hand")
            Manifest.read(version).model_copy(update={"thresholds": thresholds}).write(version)
        publish(repository, name, version)
    limits = {"MAX_SENTENCES": str(MAX_SENTENCES), "MAX_BODY_BYTES": str(MAX_BODY_BYTES)}
    names = {"MODEL_NAME": TOPICS, "MODEL_NAMES": ",".join(MODELS)}
    with Stack(repository, folder / "log", **{**limits, **names, **settings}) as stack:
        wait_until(lambda: all(is_ready(stack.client, name) for name in MODELS), 30, "all models are ready")
        yield stack


def is_ready(client: httpx.Client, model: str) -> bool:
    """Whether a model can answer."""
    return client.get("/health/ready", params={"model": model}).status_code == 200


def every_score(client: httpx.Client, text: str, model: str) -> list[dict[str, object]]:
    """What `GET /classify` answers with all labels; a text in quotes is put into others, which it takes off."""
    sentence = f"'{text}'" if text.startswith('"') else text
    answer = client.get("/classify", params={"sentence": sentence, "model": model, "top_k": "all"})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, object]] = answer.json()
    return found
