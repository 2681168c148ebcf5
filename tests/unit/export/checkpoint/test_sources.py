"""Checkpoints from where people have them: sharded, in half precision, from the hub, a trainer, or logged by MLflow."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
)

from export import ExportError
from export.checkpoint.load import load_checkpoint
from tests.word_checkpoints import TEXT, logits, write


def test_a_hub_id_that_cannot_be_loaded_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ExportError, match="is no folder here and cannot be loaded from the hub") as caught:
        load_checkpoint("nobody/no-such-classifier")
    assert "\n" not in str(caught.value)


def test_sharded_weights_are_the_same_weights(tmp_path: Path) -> None:
    folder = write(tmp_path / "whole")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    shutil.copytree(folder, tmp_path / "sharded")
    (tmp_path / "sharded" / "model.safetensors").unlink()
    model.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    assert len(list((tmp_path / "sharded").glob("model-*.safetensors"))) > 1
    whole, sharded = (load_checkpoint(str(tmp_path / name)) for name in ("whole", "sharded"))
    assert np.array_equal(logits(whole.model), logits(sharded.model))


def test_half_precision_weights_are_computed_in_float32(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    weights = {name: tensor.bfloat16() for name, tensor in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert {parameter.dtype for parameter in load_checkpoint(str(folder)).model.parameters()} == {torch.float32}


MLMODEL = """\
flavors:
  python_function:
    env:
      conda: conda.yaml
      virtualenv: python_env.yaml
    loader_module: mlflow.transformers
  transformers:
    code: null
    components:
    - tokenizer
    framework: pt
    instance_type: TextClassificationPipeline
    model_binary: model
    pipeline_model_type: BertForSequenceClassification
    source_model_name: someone/model
    task: text-classification
    tokenizer_type: PreTrainedTokenizerFast
    transformers_version: 4.57.6
is_signature_from_type_hint: false
mlflow_version: 3.17.2
"""


def log_as_mlflow(folder: Path, checkpoint: Path) -> Path:
    """The files that `mlflow.transformers.log_model` of MLflow 3.17 writes for a text classification pipeline."""
    folder.mkdir(parents=True)
    tokenizer = folder / "components" / "tokenizer"
    tokenizer.mkdir(parents=True)
    (folder / "model").mkdir()
    for path in checkpoint.iterdir():
        shutil.copy(path, tokenizer if "token" in path.name else folder / "model")
    (folder / "MLmodel").write_text(MLMODEL)
    for name in ("LICENSE.txt", "conda.yaml", "python_env.yaml", "requirements.txt"):
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("place", "asked", "name"),
    [
        (".", ".", "mlruns"),
        ("run/artifacts/classifier", "run", "run"),  # up to MLflow 2
        ("run/artifacts/classifier", "run/artifacts", "run"),
        ("run/artifacts/classifier", "run/artifacts/classifier", "classifier"),
        ("models/m-1/artifacts", "models/m-1", "m-1"),  # MLflow 3
        ("models/m-1/artifacts", "models/m-1/artifacts", "m-1"),
        ("models/m-1/artifacts", "run", "run"),
        ("models/m-1/artifacts", ".", "mlruns"),
    ],
)
def test_a_model_that_mlflow_logged_is_found_from_its_own_folder_its_runs_or_the_experiments(
    tmp_path: Path, place: str, asked: str, name: str
) -> None:
    plain = write(tmp_path / "plain")
    experiment = tmp_path / "mlruns"
    log_as_mlflow(experiment / place, plain)
    (experiment / "run" / "outputs" / "m-1").mkdir(parents=True)
    logged, expected = load_checkpoint(str(experiment / asked)), load_checkpoint(str(plain))
    assert np.array_equal(logits(logged.model), logits(expected.model))
    assert logged.tokenizer(TEXT)["input_ids"] == expected.tokenizer(TEXT)["input_ids"]
    assert logged.name == name


def test_of_two_models_in_one_run_neither_is_guessed(tmp_path: Path) -> None:
    plain = write(tmp_path / "plain")
    for name in ("first", "second"):
        log_as_mlflow(tmp_path / "run" / "artifacts" / name, plain)
    with pytest.raises(ExportError, match=r"2 MLflow models .*first, .*second.*give the folder of one"):
        load_checkpoint(str(tmp_path / "run"))


def test_an_mlflow_model_of_another_flavor_is_refused(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors:\n  sklearn: {}\n")
    with pytest.raises(ExportError, match=r"no transformers flavor \(only sklearn\)"):
        load_checkpoint(str(tmp_path))


def test_a_trainers_folder_of_checkpoints_is_answered_with_their_names(tmp_path: Path) -> None:
    write(tmp_path / "checkpoint-10")
    with pytest.raises(ExportError, match=r"holds no config\.json, but its folders do: give one of checkpoint-10"):
        load_checkpoint(str(tmp_path))
