"""TensorRT's shapes are taken from real sentences, and written only for a graph that TensorRT reads whole."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from export import ExportError
from export.__main__ import app
from repository.config import ModelConfig, parse_config
from repository.store import ModelStore
from tests.tiny_exports import export, write_source


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_source(tmp_path_factory.mktemp("source"))
    export(folder, folder / "fused")
    export(folder, folder / "plain", "--layout", "plain")
    return folder


def profile(source: Path, version: str, *options: str) -> Result:
    sentences = str(source / "sentences.txt")
    arguments = ["profile", str(source / version), "--data", sentences, "--batch-tokens", "64", *options]
    return CliRunner().invoke(app, arguments)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path))
    store = ModelStore(tmp_path, "classifier")
    store.ensure_config(ModelConfig("classifier", max_batch_size=16).to_pbtxt())
    return store


@pytest.mark.usefixtures("store")
def test_the_shapes_are_shown_with_what_they_come_from(source: Path) -> None:
    result = profile(source, "plain")
    assert result.exit_code == 0, result.output
    assert "60 sentences of sentences.txt" in result.stdout
    # Sentences have 3 to 11 tokens, and most of the tokens are in those of 9 and more: padded to 16.
    assert "4 sentences of 16 tokens" in result.stdout
    assert "none" in result.stdout


def test_they_are_written_into_the_config_when_asked(source: Path, store: ModelStore) -> None:
    result = profile(source, "plain", "--write")
    assert result.exit_code == 0, result.output
    assert parse_config(store.config()).tensorrt
    assert "input_ids:4x16,attention_mask:4x16" in store.config()
    assert "input_ids:16x64,attention_mask:16x64" in store.config()


def test_a_graph_that_tensorrt_does_not_read_whole_is_refused(source: Path, store: ModelStore) -> None:
    before = store.config()
    assert "com.microsoft.Attention" in profile(source, "fused").stdout
    refused = profile(source, "fused", "--write")
    assert isinstance(refused.exception, ExportError)
    assert "--layout plain" in str(refused.exception)
    assert store.config() == before


def test_a_packed_graph_is_held_against_pytorch_as_any_other(source: Path) -> None:
    manifest = export(source, source / "packed", "--layout", "packed")
    assert manifest.parity.max_logit_difference < 1e-4
    assert manifest.parity.padded_label_flips == 0


@pytest.mark.parametrize("precision", ["int8", "auto"])
def test_int8_is_made_of_the_fused_graph_alone(source: Path, tmp_path: Path, precision: str) -> None:
    with pytest.raises(ExportError, match="--layout packed is for fp32 and fp16"):
        export(source, tmp_path / "version", "--layout", "packed", "--precision", precision)
