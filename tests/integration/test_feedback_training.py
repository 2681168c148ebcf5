"""From a table to a served model that people correct, and to the next version, which answers as they said."""

import os
import random
import subprocess
import sys
from pathlib import Path

import httpx

from repository.store import ModelStore
from repository.training_profile import TrainingProfile
from tests.integration.stack import ROOT, Stack
from tests.integration.test_service import new_store
from tests.waiting import wait_until
from tests.word_checkpoints import write

KNOWN = {"cold": [f"word{number}" for number in range(20)], "warm": [f"word{number}" for number in range(20, 40)]}
NEW = [f"word{number}" for number in range(40, 46)]
"""Words that no text of the table has."""
OPTIONS = ("--epochs", "15", "--patience", "15", "--batch-size", "8", "--learning-rate", "3e-3", "--no-baseline")


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def write_table(path: Path) -> Path:
    dealer = random.Random(0)
    rows = [f"{' '.join(dealer.sample(words, 4))},{label}" for label, words in KNOWN.items() for _ in range(60)]
    path.write_text("text,label\n" + "\n".join(dict.fromkeys(rows)) + "\n")
    return path


def train(folder: Path, name: str, *more: str) -> str:
    output = str(folder / name)
    said = run("training", "--data", str(folder / "table.csv"), "--base-model", str(folder / "base"), *OPTIONS, *more,
               "--output", output)  # fmt: skip
    given = ("--data", str(folder / "table.csv"), "--output", f"{output}-version", "--precision", "fp32")
    run("export", "export", output, *given)
    return said


def answered(client: httpx.Client, text: str) -> tuple[str, str]:
    """The label and the id of an answer."""
    answer = client.get("/classify", params={"sentence": text})
    return answer.json()[0]["label"], answer.headers["x-request-id"]


def test_a_sentence_that_was_fed_back_is_answered_rightly_by_the_next_version(tmp_path: Path) -> None:
    write_table(tmp_path / "table.csv")
    write(tmp_path / "base")
    train(tmp_path, "first")
    profile = TrainingProfile.read(tmp_path / "first-version")
    assert profile is not None
    assert profile.texts_origin == "train split of table.csv"

    repository = new_store(tmp_path).folder.parent
    store = ModelStore(repository, "classifier")
    store.publish(tmp_path / "first-version")
    settings = {"FEEDBACK": str(tmp_path / "said"), "FEEDBACK_SENTENCES": "true"}
    dealer = random.Random(1)
    asked = list(dict.fromkeys(" ".join(dealer.sample(NEW, 4)) for _ in range(24)))
    with Stack(repository, tmp_path / "log", **settings) as stack:
        wait_until(lambda: stack.version() == 2, 20, "the trained version answers")
        label, _ = answered(stack.client, asked[0])
        right = "warm" if label == "cold" else "cold"
        for text in asked:
            _, request_id = answered(stack.client, text)
            assert stack.client.post("/feedback", json={"id": request_id, "label": right}).status_code == 200

        said = train(tmp_path, "second", "--feedback", str(tmp_path / "said"))
        assert f"Feedback: {len(asked)} of {len(asked)} rows are trained on." in said
        store.publish(tmp_path / "second-version")
        wait_until(lambda: stack.version() == 3, 20, "the next version answers")
        assert [answered(stack.client, text)[0] for text in asked] == [right] * len(asked)
        for label, words in KNOWN.items():
            assert answered(stack.client, " ".join(words[:4]))[0] == label, "what it knew it knows"
