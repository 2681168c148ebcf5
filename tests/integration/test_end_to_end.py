"""From a CSV to an answer over HTTP: train, export, publish, serve, and compare with transformers' own pipeline."""

import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import pipeline

from repository.manifest import Manifest
from tests.integration.stack import ROOT, Stack
from training import SAMPLE_DATA
from training.data.load import load_split

MAPS_EVERY = 4
"""Of the sample's maps one in so many: enough for a model with several answers, in a fraction of the time."""


def run(*arguments: str, **environment: str) -> None:
    subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env={**os.environ, **environment}, check=True, timeout=300
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with SAMPLE_DATA.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = set(list(dict.fromkeys(row["map_id"] for row in rows))[::MAPS_EVERY])
    path = tmp_path_factory.mktemp("end-to-end") / "maps.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row for row in rows if row["map_id"] in chosen)
    return path


@pytest.fixture(scope="module")
def checkpoint(data: Path) -> Path:
    output = data.parent / "checkpoint"
    base = ("--base-model", "minilm")  # half the size of the default
    run("training", "--data", str(data), *base, "--output", str(output), "--max-steps", "30", "--no-baseline")
    return output


@pytest.fixture(scope="module")
def stack(checkpoint: Path, data: Path) -> Iterator[Stack]:
    """The launcher exports and publishes the checkpoint by itself: nothing is published yet."""
    folder = checkpoint.parent
    settings = {"CHECKPOINT": str(checkpoint), "PRECISION": "fp32", "DATA": str(data)}
    with Stack(folder / "repository", folder / "log", ready_timeout_s=240, **settings) as running:
        yield running


def test_every_answer_is_the_pipeline_s(checkpoint: Path, data: Path, stack: Stack) -> None:
    sentences, _ = load_split(data, "test")
    odd = ["Mapa aprende un nuevo lenguaje", "word " * 500, "😀", "数学 図", "a\nb\tc", "UPPER lower ÄÖÜ ß"]
    asked = [*sentences[:150], *odd]
    classifier = pipeline("text-classification", model=str(checkpoint), device="cpu")
    expected = classifier(asked, truncation=True, max_length=512)
    assert len({answer["label"] for answer in expected}) > 1, "a model with one answer would prove nothing"
    for sentence, right in zip(asked, expected, strict=True):
        (answer,) = stack.classify(sentence).json()
        assert answer["label"] == right["label"], sentence
        assert answer["score"] == pytest.approx(right["score"], abs=1e-3), sentence


def test_a_sentence_scores_the_same_as_its_quoted_self(stack: Stack) -> None:
    sentence = "Mapa aprende un nuevo lenguaje"
    assert stack.classify(f'"{sentence}"').json() == stack.classify(sentence).json()


def test_the_manifest_tells_what_was_measured(stack: Stack) -> None:
    manifest = Manifest.read(stack.repository / "classifier" / "1")
    assert manifest.labels == sorted(manifest.labels)
    assert manifest.parity.max_logit_difference < 1e-4
    assert manifest.parity.label_agreement == 1.0
    assert manifest.evaluation is not None
    assert manifest.evaluation.macro_f1 == pytest.approx(manifest.evaluation.checkpoint_macro_f1)
    assert manifest.max_length == 512
