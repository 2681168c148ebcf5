"""config.pbtxt comes back from Triton's own parser as it went in."""

from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2
from typer.testing import CliRunner

from repository.__main__ import app
from repository.config import ModelConfig, parse_config, pinned_version, with_pin
from repository.manifest import CONFIG_FILE, RepositoryError
from repository.store import ModelStore
from tests.places import ROOT
from tests.version_folders import write_version

REPOSITORY = ROOT / "model_repository"


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig("classifier"),
        ModelConfig("a.b-c", 1, 3, 2),
        ModelConfig("pinned", pinned=7),
        ModelConfig("wide", max_batch_size=256),
        ModelConfig("accelerated", tensorrt=True),
    ],
)
def test_round_trip(config: ModelConfig) -> None:
    assert parse_config(config.to_pbtxt()) == config


def test_the_committed_config_is_the_one_that_publishing_writes(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, "classifier")
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    assert (REPOSITORY / "classifier" / CONFIG_FILE).read_text() == (store.folder / CONFIG_FILE).read_text()


def test_triton_s_queue_has_no_bound_for_a_bounded_one_stalls() -> None:
    assert "queue" not in ModelConfig("classifier").to_pbtxt()


def test_tensorrt_is_asked_for_in_triton_s_own_words() -> None:
    message = text_format.Parse(ModelConfig("classifier", tensorrt=True).to_pbtxt(), model_config_pb2.ModelConfig())
    (accelerator,) = message.optimization.execution_accelerators.gpu_execution_accelerator
    assert accelerator.name == "tensorrt"
    assert dict(accelerator.parameters) == {"precision_mode": "FP16"}
    assert "optimization" not in ModelConfig("classifier").to_pbtxt()


def test_tensorrt_is_not_slipped_into_a_config_that_is_there(tmp_path: Path) -> None:
    version = write_version(tmp_path / "exported", {"budget": "Business", "learn": "Education"})
    publish = ["publish", str(version), "--repository", str(tmp_path / "repository")]
    assert CliRunner().invoke(app, [*publish, "--model", "new", "--tensorrt"]).exit_code == 0
    assert parse_config(ModelStore(tmp_path / "repository", "new").config()).tensorrt
    assert CliRunner().invoke(app, [*publish, "--model", "old"]).exit_code == 0
    store = ModelStore(tmp_path / "repository", "old")
    before = store.config()
    refused = CliRunner().invoke(app, [*publish, "--model", "old", "--tensorrt"])
    assert isinstance(refused.exception, RepositoryError)
    assert "without TensorRT" in str(refused.exception)
    assert store.config() == before
    assert store.numbers() == [1]


def test_a_config_that_is_there_stays(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, "classifier")
    store.ensure_config(ModelConfig("classifier", max_batch_size=8).to_pbtxt())
    store.ensure_config(ModelConfig("classifier").to_pbtxt())
    assert parse_config((store.folder / CONFIG_FILE).read_text()).max_batch_size == 8
    assert [entry.name for entry in store.folder.iterdir() if entry.is_dir()] == []


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("dims: -1", "dims: -1 dims: 7"),
        ("TYPE_INT64", "TYPE_INT32"),
        ('name: "logits"', 'name: "scores"'),
        ('backend: "onnxruntime"', 'backend: "python"'),
        ("max_batch_size: 64", "max_batch_size: 0"),
        ("max_batch_size: 64", "max_batch_size: many"),
    ],
)
def test_a_config_that_does_not_fit_the_graph_is_refused(before: str, after: str) -> None:
    text = ModelConfig("classifier").to_pbtxt()
    assert before in text
    with pytest.raises(RepositoryError):
        parse_config(text.replace(before, after))


def test_numbers_below_one_are_refused() -> None:
    with pytest.raises(ValueError, match="max_batch_size"):
        ModelConfig("classifier", max_batch_size=0)


def test_a_pin_changes_nothing_but_the_version_policy_and_can_be_taken_off() -> None:
    text = ModelConfig("classifier", max_batch_size=8, instance_count=3).to_pbtxt() + 'parameters { key: "k" }\n'
    pinned = with_pin(text, 5)
    assert pinned_version(pinned) == 5
    assert pinned_version(text) is None
    assert parse_config(pinned) == ModelConfig("classifier", max_batch_size=8, instance_count=3, pinned=5)
    assert 'key: "k"' in pinned
    assert parse_config(with_pin(pinned, None)) == parse_config(text)
