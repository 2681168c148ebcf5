"""`--cascade`: a checkpoint and its student become one version, or one without the student where it may not answer."""

import random
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification
from typer.testing import CliRunner, Result

from export import ExportError
from export.__main__ import app
from repository.cascade import STUDENT_FILE, STUDENT_GOLDEN_FILE, STUDENT_PARITY_FILE
from repository.manifest import MODEL_FILE, Manifest
from repository.probe import probe_graph
from tests.tiny_models import WORDS, spread_weights, word_tokenizer
from tests.word_checkpoints import LIMIT, edit, tiny_bert, write

LAYERS = 8
SMALL = 0.01


def write_teacher(folder: Path) -> Path:
    """A classifier of whose layers only the first changes much."""
    torch.manual_seed(0)
    model = BertForSequenceClassification(tiny_bert(num_hidden_layers=LAYERS))
    with torch.no_grad():
        spread_weights(model)
        model.classifier.weight *= 4
        for layer in model.bert.encoder.layer[1:]:
            layer.output.dense.weight *= SMALL
            layer.attention.output.dense.weight *= SMALL
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


def write_student(folder: Path, teacher: Path, layers: int = 1) -> Path:
    """The first layers of the teacher; the last one once more for those that it has not."""
    whole = AutoModelForSequenceClassification.from_pretrained(teacher)
    model = BertForSequenceClassification(tiny_bert(num_hidden_layers=layers))
    model.bert.embeddings = whole.bert.embeddings
    model.bert.pooler, model.classifier = whole.bert.pooler, whole.classifier
    for place in range(layers):
        model.bert.encoder.layer[place].load_state_dict(whole.bert.encoder.layer[min(place, LAYERS - 1)].state_dict())
    model.save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    return folder


def sentences(seed: int, count: int) -> str:
    chance = random.Random(seed)
    return "\n".join(" ".join(chance.choices(WORDS, k=chance.randint(1, 12))) for _ in range(count))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`teacher`, `student`, few sentences to compare on and enough to choose a bar on."""
    folder = tmp_path_factory.mktemp("cascade")
    write_student(folder / "student", write_teacher(folder / "teacher"))
    (folder / "few.txt").write_text(sentences(0, 60))
    (folder / "many.txt").write_text(sentences(1, 900))
    return folder


def export(folder: Path, output: Path, *options: str) -> Result:
    arguments = [str(folder / "teacher"), "--output", str(output), "--precision", "fp32"]
    return CliRunner().invoke(app, [*arguments, *options], catch_exceptions=False)


@pytest.mark.parametrize("option", ["--cascade-texts", "--validation"])
def test_a_version_holds_model_and_student_with_the_proof(folder: Path, tmp_path: Path, option: str) -> None:
    texts = ("--data", str(folder / "few.txt"), option, str(folder / "many.txt"))
    result = export(folder, tmp_path / "out", "--cascade", str(folder / "student"), *texts)
    assert result.exit_code == 0, result.output
    manifest = Manifest.read(tmp_path / "out")
    manifest.verify_files(tmp_path / "out")
    assert {STUDENT_FILE, STUDENT_GOLDEN_FILE, STUDENT_PARITY_FILE} <= set(manifest.files)
    assert manifest.files[STUDENT_FILE].size_bytes < manifest.files[MODEL_FILE].size_bytes
    assert manifest.cascade is not None
    chosen = manifest.cascade.bars[0]
    assert chosen.sentences > 800  # each once
    assert chosen.upper_bound <= manifest.cascade.delta == 0.005
    # The student differs on one in sixty, and is less sure of those.
    assert 0 < chosen.answered < chosen.sentences
    assert chosen.coverage > manifest.cascade.cost
    assert manifest.cascade.test is not None
    assert f"{chosen.coverage:.1%}" in " ".join(result.output.split())
    probe_graph(tmp_path / "out", manifest)  # both graphs, with their golden sentences


def test_few_sentences_carry_no_student(folder: Path, tmp_path: Path) -> None:
    data = ("--data", str(folder / "few.txt"))
    result = export(folder, tmp_path / "out", "--cascade", str(folder / "student"), *data)
    assert result.exit_code == 0, result.output
    assert "No cascade, the model answers alone: there are" in " ".join(result.output.split())
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.cascade is None
    assert STUDENT_FILE not in manifest.files
    assert '"cascade"' not in (tmp_path / "out" / "manifest.json").read_text()  # older gateways do not know it


def test_a_student_that_is_slower_than_the_model_wins_nothing(folder: Path, tmp_path: Path) -> None:
    texts = ("--data", str(folder / "few.txt"), "--cascade-texts", str(folder / "many.txt"))
    slow = write_student(tmp_path / "slow", folder / "teacher", 2 * LAYERS)
    result = export(folder, tmp_path / "out", "--cascade", str(slow), *texts)
    assert result.exit_code == 0, result.output
    assert "nothing is won" in " ".join(result.output.split())
    assert Manifest.read(tmp_path / "out").cascade is None


def test_a_student_with_other_labels_is_refused(folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", tiny_bert(num_labels=2))
    with pytest.raises(ExportError, match="labels"):
        export(folder, tmp_path / "out", "--data", str(folder / "few.txt"), "--cascade", str(other))
    assert not (tmp_path / "out").exists()


def test_a_student_with_another_tokenizer_is_refused(folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other")
    tokenizer = (other / "tokenizer.json").read_text()
    (other / "tokenizer.json").write_text(tokenizer.replace('"word7"', '"other7"'))
    with pytest.raises(ExportError, match="its tokenizer is not that of teacher"):
        export(folder, tmp_path / "out", "--data", str(folder / "few.txt"), "--cascade", str(other))


def test_a_student_that_takes_shorter_texts_is_refused(folder: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other", tiny_bert(max_position_embeddings=LIMIT - 8))
    with pytest.raises(ExportError, match="takes sequences of at most 32 tokens"):
        export(folder, tmp_path / "out", "--data", str(folder / "few.txt"), "--cascade", str(other))


def test_a_model_of_several_labels_takes_no_student(folder: Path, tmp_path: Path) -> None:
    several = write(tmp_path / "several")
    edit(several / "config.json", problem_type="multi_label_classification")
    arguments = [str(several), "--output", str(tmp_path / "out"), "--data", str(folder / "few.txt")]
    with pytest.raises(ExportError, match="models that answer one label"):
        CliRunner().invoke(app, [*arguments, "--cascade", str(folder / "student")], catch_exceptions=False)
