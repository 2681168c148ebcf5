"""From a CSV of somebody's own to `/classify`: several labels a text, and a number, as the pipeline answers them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import pipeline

from export.__main__ import app as export_app
from tests.any_table import LABELS, texts, write_table
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.tiny_pipeline import run, write_tiny_base
from training.__main__ import app as training_app

KINDS = ("several", "a number")
SENTENCES = [text for text, _ in texts()[:12]] + ["words nobody trained on"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of each kind, and a repository with a model of each."""
    folder = tmp_path_factory.mktemp("any-data")
    base = write_tiny_base("bert", folder / "base")
    for kind in KINDS:
        file, _, flags, labels = LABELS[kind]
        own = folder / kind
        own.mkdir()
        data = write_table(own / file, labels)
        columns = ("--text", "headline", "--label", "answer")
        given = ("--base-model", str(base), "--output", str(own / "checkpoint"), "--max-steps", "3")
        run(training_app, "--data", str(data), *columns, *flags, *given)
        options = ("--data", str(data), "--precision", "fp32", "--output", str(own / "version"))
        run(export_app, str(own / "checkpoint"), *options)
        publish(folder / "repository", kind.split()[-1], own / "version")
    return folder


@pytest.fixture(scope="module")
def several(folder: Path) -> Iterator[Stack]:
    with Stack(folder / "repository", folder / "log", MODEL_NAME="several") as running:
        yield running


@pytest.fixture(scope="module")
def number(folder: Path, several: Stack) -> Iterator[Gateway]:
    with gateway_beside(several, folder / "log-number", MODEL_NAME="number") as gateway:
        yield gateway


def test_every_label_of_a_multi_label_model_scores_as_the_pipeline_says(folder: Path, several: Stack) -> None:
    ask = pipeline("text-classification", model=str(folder / "several" / "checkpoint"), device="cpu", top_k=None)
    for sentence, expected in zip(SENTENCES, ask(SENTENCES), strict=True):
        answer = several.client.get("/classify", params={"sentence": sentence, "top_k": "all"}).json()
        scores = {one["label"]: one["score"] for one in expected}
        assert {one["label"]: one["score"] for one in answer} == pytest.approx(scores, abs=1e-3)
        reached = several.client.get("/classify", params={"sentence": sentence}).json()
        assert {one["label"] for one in reached} == {label for label, score in scores.items() if score >= 0.5}


def test_a_regression_answers_the_number_that_the_pipeline_says(folder: Path, number: Gateway) -> None:
    ask = pipeline("text-classification", model=str(folder / "a number" / "checkpoint"), device="cpu")
    expected = ask(SENTENCES, function_to_apply="none")
    for sentence, right in zip(SENTENCES, expected, strict=True):
        (answer,) = number.client.get("/classify", params={"sentence": sentence}).json()
        assert answer == {"label": "answer", "score": pytest.approx(right["score"], rel=1e-4)}
        assert answer["score"] > 1000  # in the unit of the data


def test_the_versions_say_how_well_they_answer_what_they_held_out(several: Stack, number: Gateway) -> None:
    found = {name: client.get("/models").json() for name, client in (("s", several.client), ("n", number.client))}
    labels, value = (found[name]["versions"][0]["evaluation"] for name in ("s", "n"))
    assert (labels["held_out"], value["held_out"]) == ("groups", "groups")
    assert labels["macro_f1"] is not None
    assert {"exact_match", "micro_f1"} <= set(labels["figures"])
    assert {"mean_absolute_error", "root_mean_squared_error"} <= set(value["figures"])
