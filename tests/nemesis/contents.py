"""What versions are made of, so that each answers otherwise than every other, and what each of them answers alone."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnxruntime

from repository.inference import load_tokenizer, pad_batch, scores
from repository.manifest import MODEL_FILE, Manifest
from tests.integration.swapping import WORDS, write_model
from tests.version_folders import write_golden, write_manifest

BROKEN = "broken"
"""The content of a version that was put into place by hand, and can't be loaded."""
GOOD = 8
"""Contents that take turns: of two models with other words, labels and limits, each with weights of its own."""
SENTENCES = 40

Own = Mapping[str, Sequence[tuple[str, float]]]
"""For each content, label and score of every sentence."""


def some_sentences() -> list[str]:
    """Of 1 to 40 words; some are longer than one of the models reads."""
    chance = random.Random(0)
    return [" ".join(chance.choices(WORDS, k=number + 1)) for number in range(SENTENCES)]


def write_contents(folder: Path) -> dict[str, Path]:
    """Version folders by the name of their content, which their manifests carry as the source."""
    found = {}
    for place in range(GOOD):
        name = f"content-{place}"
        version = write_model(folder / name, place, seed=100 + place)
        write_golden(version, WORDS[20:24])
        found[name] = named(version, name)
    return found


def write_broken(folder: Path) -> Path:
    """A version whose graph is none, with a manifest that fits."""
    version = write_model(folder, 0, seed=99)
    (version / MODEL_FILE).write_bytes(b"no graph")
    write_manifest(version, Manifest.read(version).labels)
    return named(version, BROKEN)


def named(version: Path, name: str) -> Path:
    """The version, with this name in its manifest."""
    Manifest.read(version).model_copy(update={"source": name}).write(version)
    return version


def own_answers(contents: Mapping[str, Path]) -> Own:
    """What each content answers to every sentence alone, by ONNX Runtime."""
    return {name: _answers(folder) for name, folder in contents.items()}


def write_own(path: Path, own: Own) -> None:
    """Keep them beside the history that is checked against them."""
    path.write_text(json.dumps(own, ensure_ascii=False), encoding="utf-8")


def read_own(path: Path) -> Own:
    """What `write_own` has written."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return {name: [(label, score) for label, score in answers] for name, answers in found.items()}


def _answers(folder: Path) -> list[tuple[str, float]]:
    manifest = Manifest.read(folder)
    tokenizer = load_tokenizer(folder, manifest.max_length)
    session = onnxruntime.InferenceSession(str(folder / MODEL_FILE), providers=["CPUExecutionProvider"])
    found = []
    for sentence in some_sentences():
        logits = session.run(None, pad_batch([tokenizer.encode(sentence).ids], manifest.pad_token_id))[0]
        row = scores(logits, manifest.problem_type)[0]
        found.append((manifest.labels[int(row.argmax())], float(row.max())))
    return found
