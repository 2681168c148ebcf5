"""LoRA adapters, alone or logged by MLflow, are merged into their base."""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForSequenceClassification,
    DistilBertConfig,
    GPT2Config,
)

from export import ExportError
from export.checkpoint.load import load_checkpoint
from pretrained.weights import weights_text
from repository.manifest import ProblemType
from tests.tiny_models import PAD, VOCABULARY
from tests.unit.export.checkpoint.test_sources import log_as_mlflow
from tests.word_checkpoints import LIMIT, TEXT, edit, logits, tiny_bert, write

HAS_PEFT = importlib.util.find_spec("peft") is not None
needs_peft = pytest.mark.skipif(not HAS_PEFT, reason="PEFT is not installed: pip install '.[adapters]'")


def write_adapter(folder: Path, base: Path, width: int, targets: list[str], head: list[str]) -> Any:
    """A LoRA adapter with random weights, beside nothing else; returns the adapted model that was saved."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=width, ignore_mismatched_sizes=True)
    settings = LoraConfig(task_type="SEQ_CLS", r=4, lora_alpha=8, target_modules=targets, modules_to_save=head)
    adapted = get_peft_model(model, settings)
    for parameter in adapted.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    adapted.save_pretrained(folder)
    return adapted.eval()


@needs_peft
@pytest.mark.parametrize("width", [3, 5])
@pytest.mark.parametrize("model_type", ["bert", "distilbert", "gpt2"])
def test_a_lora_adapter_is_merged_into_its_base(tmp_path: Path, model_type: str, width: int) -> None:
    configs: dict[str, Any] = {
        "bert": tiny_bert(),
        "distilbert": DistilBertConfig(
            vocab_size=VOCABULARY,
            dim=32,
            n_layers=1,
            n_heads=4,
            hidden_dim=64,
            max_position_embeddings=LIMIT,
            num_labels=3,
        ),
        "gpt2": GPT2Config(
            vocab_size=VOCABULARY, n_embd=32, n_layer=1, n_head=4, n_positions=LIMIT, num_labels=3, pad_token_id=PAD
        ),
    }
    targets = {"bert": ["query", "value"], "distilbert": ["q_lin"], "gpt2": ["c_attn"]}[model_type]
    heads = {"bert": ["classifier"], "distilbert": ["pre_classifier", "classifier"], "gpt2": ["score"]}[model_type]
    # GPT-2 reads token types where its tokenizer gives them; `logits` gives none.
    base = write(tmp_path / "base", configs[model_type], model_input_names=["input_ids", "attention_mask"])
    adapted = write_adapter(tmp_path / "adapter", base, width, targets, heads)
    checkpoint = load_checkpoint(str(tmp_path / "adapter"))
    assert checkpoint.weights == weights_text(tmp_path / "adapter")  # its own, not those of its base
    assert np.abs(logits(checkpoint.model) - logits(adapted)).max() < 1e-5
    assert np.abs(logits(checkpoint.model)[:, :3] - logits(load_checkpoint(str(base)).model)).max() > 1e-2
    assert checkpoint.labels == [f"LABEL_{index}" for index in range(width)]
    assert checkpoint.tokenizer(TEXT)["input_ids"] == load_checkpoint(str(base)).tokenizer(TEXT)["input_ids"]


@needs_peft
def test_an_adapter_that_mlflow_logged_is_merged_into_the_base_beside_it(tmp_path: Path) -> None:
    """MLflow 3.17 saves the base with PEFT's layers in it, under their names for its weights."""
    base = write(tmp_path / "base", tiny_bert())
    run = log_as_mlflow(tmp_path / "run", base)
    adapted = write_adapter(run / "peft", base, 3, ["query", "value"], ["classifier"])
    adapted.get_base_model().save_pretrained(run / "model")
    saved = load_file(run / "model" / "model.safetensors")
    assert "bert.encoder.layer.0.attention.self.query.base_layer.weight" in saved
    shutil.rmtree(base)
    checkpoint = load_checkpoint(str(run))
    assert np.abs(logits(checkpoint.model) - logits(adapted)).max() < 1e-5
    assert checkpoint.name == "run"


def test_without_peft_an_adapter_says_which_extra_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    write(tmp_path / "base")
    (tmp_path / "adapter").mkdir()
    settings = {"base_model_name_or_path": str(tmp_path / "base"), "peft_type": "LORA"}
    (tmp_path / "adapter" / "adapter_config.json").write_text(json.dumps(settings))
    with pytest.raises(ExportError, match=r"needs PEFT: pip install .*\[adapters\]"):
        load_checkpoint(str(tmp_path / "adapter"))


def test_an_adapter_whose_base_is_not_there_names_it(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "/no/such/base"}))
    with pytest.raises(ExportError, match="needs its base model: /no/such/base does not exist"):
        load_checkpoint(str(tmp_path))


@needs_peft
def test_the_configuration_beside_an_adapter_names_labels_problem_and_padding(tmp_path: Path) -> None:
    base = write(
        tmp_path / "base", GPT2Config(vocab_size=VOCABULARY, n_embd=32, n_layer=1, n_head=4, n_positions=LIMIT)
    )
    adapted = write_adapter(tmp_path / "adapter", base, 3, ["c_attn"], ["score"])
    config = adapted.get_base_model().config
    config.id2label, config.label2id = {0: "no", 1: "maybe", 2: "yes"}, {"no": 0, "maybe": 1, "yes": 2}
    config.problem_type, config.pad_token_id = "multi_label_classification", PAD
    config.save_pretrained(tmp_path / "adapter")
    # As a trainer leaves it that loaded the base in four bits.
    edit(tmp_path / "adapter" / "config.json", quantization_config={"quant_method": "bitsandbytes"})
    checkpoint = load_checkpoint(str(tmp_path / "adapter"))
    assert checkpoint.labels == ["no", "maybe", "yes"]
    assert checkpoint.problem_type is ProblemType.MULTI_LABEL
    assert checkpoint.own_pad_token_id == PAD
    ids = torch.tensor([[1, 9, 10, 11, 2]])
    with torch.inference_mode():  # GPT-2 reads the token types that this tokenizer gives
        expected = adapted(input_ids=ids, attention_mask=torch.ones_like(ids), token_type_ids=torch.zeros_like(ids))
    assert np.abs(logits(checkpoint.model) - expected.logits.numpy()).max() < 1e-5


@needs_peft
def test_the_labels_of_an_adapter_without_a_configuration_are_named_by_the_user(tmp_path: Path) -> None:
    base = write(tmp_path / "base")
    write_adapter(tmp_path / "adapter", base, 5, ["query", "value"], ["classifier"])
    names = ["a", "b", "c", "d", "e"]
    assert load_checkpoint(str(tmp_path / "adapter"), labels=names).labels == names


@needs_peft
def test_an_adapter_of_a_quantized_base_is_refused(tmp_path: Path) -> None:
    base = write(tmp_path / "base")
    write_adapter(tmp_path / "adapter", base, 3, ["query", "value"], ["classifier"])
    edit(base / "config.json", quantization_config={"quant_method": "gptq", "bits": 4})
    with pytest.raises(ExportError, match=r"has quantized weights \(gptq\)"):
        load_checkpoint(str(tmp_path / "adapter"))
