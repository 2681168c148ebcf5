"""The checkpoint that a version was exported from is known by its weights, wherever it lies, or one line says no."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import AutoModelForSequenceClassification, BertConfig
from typer.testing import CliRunner

from pretrained.weights import weights_digest, weights_text
from repository.config import ModelConfig, with_pin
from repository.history import VersionHistory
from repository.location import S3Location
from repository.s3_store import S3Store
from repository.store import ModelStore
from tests.s3_server import CREDENTIALS, environment, s3_server
from tests.tiny_models import SIZES, VOCABULARY, word_tokenizer, write_any_classifier
from tests.version_folders import note_weights, write_version
from training.__main__ import app
from training.commands.from_version import VersionError, base_of_version, find_checkpoint, find_version
from training.fit.train import load_classifier

LABELS = ["Animal", "Plant"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder, in which nothing else is set."""
    monkeypatch.chdir(tmp_path)
    for name in ("MODEL_REPOSITORY", "MODEL_NAME", "CHECKPOINT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def store(home: Path) -> ModelStore:
    return ModelStore(home / "model_repository", "classifier")


def write_checkpoint(folder: Path, width: int = 32, labels: tuple[str, ...] = ("Animal", "Plant")) -> Path:
    """Of another width, it has other weights."""
    sizes = {**SIZES, "hidden_size": width, "vocab_size": VOCABULARY, "max_position_embeddings": 64}
    names = dict(enumerate(labels))
    config = BertConfig(**sizes, id2label=names, label2id={label: number for number, label in names.items()})
    return write_any_classifier(folder, config, word_tokenizer())


def publish(history: VersionHistory, folder: Path, checkpoint: Path | None) -> int:
    """A version that says that it was exported from `checkpoint`."""
    write_version(folder, {"cat": "Animal", "oak": "Plant"})
    if checkpoint is not None:
        note_weights(folder, weights_text(checkpoint))
    history.ensure_config(ModelConfig("classifier").to_pbtxt())
    return history.publish(folder)


def found(wanted: str, output: Path = Path("checkpoints/classifier")) -> Path:
    return find_checkpoint(find_version(wanted), output).folder.resolve()


def refusal(wanted: str, output: Path = Path("checkpoints/classifier")) -> str:
    with pytest.raises(VersionError) as caught:
        base_of_version(wanted, output)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_digest_is_that_of_all_shards_and_sha256sum_checks_it(home: Path) -> None:
    checkpoint = write_checkpoint(home / "whole")
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    model.save_pretrained(home / "parts", max_shard_size="20KB")
    shards = sorted((home / "parts").glob("*.safetensors"))
    assert len(shards) > 2
    (home / "list").write_text(weights_text(home / "parts"))
    checked = subprocess.run(["sha256sum", "--check", "../list"], cwd=home / "parts", capture_output=True, text=True)
    assert (checked.returncode, checked.stdout.count(": OK")) == (0, len(shards))
    before = weights_digest(home / "parts")
    assert before != weights_digest(checkpoint)
    (home / "parts" / "training_report.json").write_text("{}")  # is made anew by `evaluate`
    assert weights_digest(home / "parts") == before
    shards[1].write_bytes(shards[1].read_bytes()[:-1] + b"\xff")
    assert weights_digest(home / "parts") != before
    assert weights_digest(home) is None


def test_it_is_found_at_checkpoint_at_the_output_and_beside_both(
    home: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = write_checkpoint(home / "checkpoints" / "last week")
    write_checkpoint(home / "checkpoints" / "classifier", width=16)
    (home / "checkpoints" / "empty").mkdir()
    (home / "checkpoints" / "notes.txt").write_text("")
    publish(store, home / "v1", own)
    assert found("newest") == own
    shutil.move(own, home / "elsewhere")
    assert "not to be found" in refusal("newest")
    assert found("1", output=home / "new one") == home / "elsewhere"
    assert found("served", output=home / "elsewhere") == home / "elsewhere"
    monkeypatch.setenv("CHECKPOINT", str(home / "elsewhere"))
    assert found("1") == home / "elsewhere"
    # What training has under way or left behind is no checkpoint yet.
    monkeypatch.delenv("CHECKPOINT")
    shutil.move(home / "elsewhere", home / "checkpoints" / ".classifier.training")
    assert "not to be found" in refusal("1")


def test_newest_and_served_are_what_they_are_everywhere(home: Path, store: ModelStore) -> None:
    folders = [write_checkpoint(home / "checkpoints" / f"of {width}", width) for width in (16, 32, 64)]
    for number, folder in enumerate(folders):
        publish(store, home / f"v{number}", folder)
    assert [found("1"), found("newest"), found("served")] == [folders[0], folders[2], folders[2]]
    store.change_config(lambda text: with_pin(text, 2))
    assert [found("newest"), found("served")] == [folders[2], folders[1]]
    store.rollback(1)
    assert find_version("newest").tags == ["classifier/4", "classifier/1"]
    assert found("newest") == folders[0]


def test_what_is_not_there_is_one_line(home: Path, store: ModelStore) -> None:
    assert "holds no version that can be read: the first is trained without --from-version" in refusal("newest")
    publish(store, home / "v1", None)
    assert "version 1 of classifier does not say which weights of test it was exported from" in refusal("1")
    publish(store, home / "v2", write_checkpoint(home / "gone"))
    shutil.rmtree(home / "gone")
    assert "there is no version 7 of classifier" in refusal("7")
    digest = str(find_version("2").manifest.weights)
    write_checkpoint(home / "checkpoints" / "other", width=16)
    assert refusal("2") == (
        f"the checkpoint of version 2 of classifier is not to be found: it was called test, its weights have the "
        f"digest {digest[:16]}…; looked at checkpoints/classifier, 1 folders in {home}/checkpoints; --base-model "
        "FOLDER names it."
    )


def test_labels_and_task_are_those_of_the_version(home: Path, store: ModelStore) -> None:
    checkpoint = write_checkpoint(home / "checkpoints" / "classifier", labels=("LABEL_0", "LABEL_1"))
    publish(store, home / "v1", checkpoint)
    base = base_of_version("1", home / "new")
    assert (list(base.config.id2label.values()), base.version) == (LABELS, "version 1 of classifier")
    before = AutoModelForSequenceClassification.from_pretrained(checkpoint)
    model = load_classifier(base, ["Plant", "Stone"])
    assert model.classifier.weight[0].equal(before.classifier.weight[1])


def test_a_lora_adapter_is_not_trained_further(home: Path, store: ModelStore) -> None:
    adapter = write_checkpoint(home / "checkpoints" / "classifier")
    (adapter / "model.safetensors").rename(adapter / "adapter_model.safetensors")
    publish(store, home / "v1", adapter)
    assert "was exported from a LoRA adapter (checkpoints/classifier)" in refusal("1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--from-version", "1", "--base-model", "minilm"], "both say what to begin with"),
        (["--from-version", "latest"], "--from-version latest: give a version's number, newest or served."),
        (["--from-version", "0"], "--from-version 0: give a version's number"),
    ],
)
def test_a_mistake_is_told_before_anything_is_read(home: Path, options: list[str], said: str) -> None:
    done = CliRunner().invoke(app, ["train", "--data", "none.csv", *options])
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr
    assert list(home.iterdir()) == []


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with environment(CREDENTIALS), s3_server(tmp_path_factory.mktemp("s3") / "log") as running:
        yield running.repository("models")


def test_a_version_in_s3_tells_it_by_its_manifest_alone(home: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = write_checkpoint(home / "checkpoints" / "classifier")
    monkeypatch.setenv("MODEL_REPOSITORY", s3)
    number = publish(S3Store(S3Location.parse(s3), "classifier"), home / "v1", checkpoint)
    for wanted in (str(number), "newest", "served"):
        assert found(wanted) == checkpoint
    assert "there is no version 9 of classifier: s3://" in refusal("9")
    monkeypatch.setenv("MODEL_REPOSITORY", "s3://127.0.0.1:1/models")
    assert "127.0.0.1:1" in refusal("newest")


def test_an_mlflow_that_cannot_be_reached_is_named_without_its_password(
    home: Path, store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, home / "v1", write_checkpoint(home / "gone"))
    shutil.rmtree(home / "gone")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:1")
    line = refusal("1")
    assert "MLflow in vain (MLflow's server http://***@127.0.0.1:1 cannot be reached" in line
    assert line.endswith("; --base-model FOLDER names it.")
