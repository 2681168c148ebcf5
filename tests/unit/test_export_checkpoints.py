"""Checkpoints as people have them: of any transformers, sharded, with poor labels, as adapters, logged by MLflow."""

import importlib.util
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    PreTrainedTokenizerFast,
    RobertaConfig,
)

from export import ExportError
from export.checkpoint import load_checkpoint
from repository.manifest import ProblemType
from tests.tiny_models import EOS, PAD, VOCABULARY, word_tokenizer, write_any_classifier

LIMIT = 40
TEXT = "word1 word2 word3"


def tiny_bert(**changes: object) -> BertConfig:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    common = {"vocab_size": VOCABULARY, "max_position_embeddings": LIMIT, "pad_token_id": PAD, "num_labels": 3}
    return BertConfig(**{**sizes, **common, **changes})


def write(folder: Path, config: Any = None, **tokenizer: object) -> Path:
    return write_any_classifier(folder, config or tiny_bert(), word_tokenizer(**tokenizer))


def edit(path: Path, **changes: object) -> None:
    """Set keys of a JSON file; None takes a key out."""
    content = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))


def logits(model: Any) -> np.ndarray:
    ids = torch.tensor([[1, 9, 10, 11, 2]])
    with torch.inference_mode():
        return np.asarray(model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits)


def save_as_transformers_5(folder: Path, tokenizer_class: str) -> None:
    """The two files that transformers 5 writes: lists where 4.57 has mappings, padding and truncation left in."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    for path in (*folder.glob("*token*"), *folder.glob("vocab*")):
        path.unlink()
    tokenizer.backend_tokenizer.enable_truncation(4)
    tokenizer.backend_tokenizer.enable_padding(length=16)
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "backend": "tokenizers",
        "eos_token": "</s>",
        "extra_special_tokens": ["<mask>"],
        "max_length": 4,
        "model_max_length": 24,
        "pad_token": "<pad>",
        "padding_side": "left",
        "tokenizer_class": tokenizer_class,
        "truncation_side": "right",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


@pytest.mark.parametrize("tokenizer_class", ["TokenizersBackend", "BertTokenizer"])
def test_a_tokenizer_saved_by_transformers_5_reads_as_the_one_saved_by_4(tmp_path: Path, tokenizer_class: str) -> None:
    old = load_checkpoint(str(write(tmp_path / "old")))
    save_as_transformers_5(write(tmp_path / "new"), tokenizer_class)
    new = load_checkpoint(str(tmp_path / "new"))
    for text in (TEXT, "Word1 WORD2", "", "word1 <mask> word2", "unknown"):
        assert new.tokenizer(text)["input_ids"] == old.tokenizer(text)["input_ids"]
    assert new.max_length == 24
    assert new.pad_token_id == PAD


@pytest.mark.parametrize(("limit", "usable"), [(None, LIMIT), (16, 16), (512, LIMIT)])
def test_the_usable_length_is_the_smaller_of_models_and_tokenizers(
    tmp_path: Path, limit: int | None, usable: int
) -> None:
    settings = {} if limit is None else {"model_max_length": limit}
    assert load_checkpoint(str(write(tmp_path / "c", **settings))).max_length == usable


@pytest.mark.parametrize("padding_id", [0, 1])
def test_robertas_first_positions_up_to_its_padding_id_are_not_usable(tmp_path: Path, padding_id: int) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    config = RobertaConfig(
        vocab_size=VOCABULARY, max_position_embeddings=LIMIT, pad_token_id=padding_id, num_labels=2, **sizes
    )
    checkpoint = load_checkpoint(str(write(tmp_path / "c", config)))
    assert checkpoint.max_length == LIMIT - padding_id - 1
    ids = torch.full((1, checkpoint.max_length), 9)
    checkpoint.model(input_ids=ids, attention_mask=torch.ones_like(ids))
    with pytest.raises(IndexError):
        checkpoint.model(input_ids=torch.full((1, checkpoint.max_length + 1), 9))


@pytest.mark.parametrize(
    ("tokenizer", "config", "expected"),
    [
        ({}, {}, PAD),
        ({"pad_token": None}, {}, PAD),
        ({"pad_token": None}, {"pad_token_id": None}, 3),  # <unk>: every sentence ends with </s>
        ({"pad_token": "</s>"}, {"pad_token_id": None}, EOS),
        ({}, {"pad_token_id": VOCABULARY + 7}, PAD),
    ],
)
def test_a_padding_token_is_found(
    tmp_path: Path, tokenizer: dict[str, Any], config: dict[str, Any], expected: int
) -> None:
    folder = write(tmp_path / "c", **tokenizer)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    assert load_checkpoint(str(folder)).pad_token_id == expected


def test_the_side_a_tokenizer_pads_on_does_not_matter(tmp_path: Path) -> None:
    sides = [load_checkpoint(str(write(tmp_path / side, padding_side=side))) for side in ("left", "right")]
    assert sides[0].tokenizer(TEXT)["input_ids"] == sides[1].tokenizer(TEXT)["input_ids"]
    assert np.array_equal(logits(sides[0].model), logits(sides[1].model))


def test_a_hub_id_that_cannot_be_loaded_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ExportError, match="is no folder here and cannot be loaded from the hub") as caught:
        load_checkpoint("nobody/no-such-classifier")
    assert "\n" not in str(caught.value)


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "c", tiny_bert(vocab_size=VOCABULARY - 5))
    with pytest.raises(ExportError, match="past the 94 rows of the model's embedding"):
        load_checkpoint(str(folder))


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(ExportError, match=r"holds no tokenizer \(tokenizer.json\)"):
        load_checkpoint(str(folder))


def test_a_slow_tokenizer_is_converted(tmp_path: Path) -> None:
    folder = write(tmp_path / "c")
    for path in folder.glob("*token*"):
        path.unlink()
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "world"]
    (folder / "vocab.txt").write_text("\n".join(words))
    assert load_checkpoint(str(folder)).tokenizer("hello world")["input_ids"] == [2, 5, 6, 3]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id2label": {"2": "c", "0": "a", "1": "b"}}, ["a", "b", "c"]),
        ({"id2label": {"1": "b"}}, ["LABEL_0", "b", "LABEL_2"]),
        ({"id2label": None, "label2id": {"c": 2, "b": 1, "a": 0}}, ["a", "b", "c"]),
        ({"id2label": None, "label2id": None}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ({"id2label": {"0": 1, "1": 2, "2": 3}}, ["1", "2", "3"]),
    ],
)
def test_labels_come_in_the_order_of_the_logits(
    tmp_path: Path, changes: dict[str, object], expected: list[str]
) -> None:
    folder = write(tmp_path / "c")
    edit(folder / "config.json", **changes)
    assert load_checkpoint(str(folder)).labels == expected


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id2label": {"0": "a", "1": "a", "2": "b"}}, "two labels the same name, 'a'"),
        ({"id2label": {"0": "a", "1": "b", "7": "c"}}, "names label 7, but the labels are 0 to 2"),
        ({"id2label": {"zero": "a"}}, "must give names by number"),
        ({"id2label": ["a", "b", "c"]}, "must give names by number"),
        ({"id2label": None, "num_labels": 5}, "num_labels 5, but the weights give 3 logits"),
        ({"id2label": None, "num_labels": 10**9}, "num_labels 1000000000, but the weights give 3 logits"),
    ],
)
def test_labels_that_contradict_the_weights_are_refused(tmp_path: Path, changes: dict[str, object], named: str) -> None:
    folder = write(tmp_path / "c")
    edit(folder / "config.json", **changes)
    with pytest.raises(ExportError) as caught:
        load_checkpoint(str(folder))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


def test_ten_thousand_labels_are_taken(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(write(tmp_path / "c", tiny_bert(num_labels=10_000))))
    assert len(checkpoint.labels) == 10_000
    assert logits(checkpoint.model).shape == (1, 10_000)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_labels": 1}, ProblemType.MULTI_LABEL),
        ({"num_labels": 1, "problem_type": "regression"}, ProblemType.REGRESSION),
        ({"problem_type": "multi_label_classification"}, ProblemType.MULTI_LABEL),
        ({}, ProblemType.SINGLE_LABEL),
    ],
)
def test_the_problem_type_is_the_pipelines(tmp_path: Path, changes: dict[str, Any], expected: ProblemType) -> None:
    assert load_checkpoint(str(write(tmp_path / "c", tiny_bert(**changes)))).problem_type is expected


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


def log_as_mlflow(folder: Path, checkpoint: Path) -> Path:
    """The files that `mlflow.transformers.log_model` writes for a text classification pipeline."""
    folder.mkdir(parents=True)
    tokenizer = folder / "components" / "tokenizer"
    tokenizer.mkdir(parents=True)
    (folder / "model").mkdir()
    for path in checkpoint.iterdir():
        shutil.copy(path, tokenizer if "token" in path.name else folder / "model")
    (folder / "MLmodel").write_text(
        "flavors:\n  python_function:\n    loader_module: mlflow.transformers\n  transformers:\n"
        "    components:\n    - tokenizer\n    framework: pt\n    instance_type: TextClassificationPipeline\n"
        "    model_binary: model\n    source_model_name: someone/model\n    task: text-classification\n"
    )
    return folder


@pytest.mark.parametrize("place", [".", "artifacts/classifier", "model"])
def test_a_model_that_mlflow_logged_is_found_from_its_own_folder_or_its_runs(tmp_path: Path, place: str) -> None:
    plain = write(tmp_path / "plain")
    run = tmp_path / "run"
    log_as_mlflow(run / place, plain)
    logged, expected = load_checkpoint(str(run)), load_checkpoint(str(plain))
    assert np.array_equal(logits(logged.model), logits(expected.model))
    assert logged.tokenizer(TEXT)["input_ids"] == expected.tokenizer(TEXT)["input_ids"]
    assert logged.name == "run"


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
    base = write(tmp_path / "base", configs[model_type])
    adapted = write_adapter(tmp_path / "adapter", base, width, targets, heads)
    checkpoint = load_checkpoint(str(tmp_path / "adapter"))
    assert np.abs(logits(checkpoint.model) - logits(adapted)).max() < 1e-5
    assert np.abs(logits(checkpoint.model)[:, :3] - logits(load_checkpoint(str(base)).model)).max() > 1e-2
    assert checkpoint.labels == [f"LABEL_{index}" for index in range(width)]
    assert checkpoint.tokenizer(TEXT)["input_ids"] == load_checkpoint(str(base)).tokenizer(TEXT)["input_ids"]


@pytest.mark.skipif(HAS_PEFT, reason="PEFT is installed")
def test_without_peft_an_adapter_says_which_extra_to_install(tmp_path: Path) -> None:
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
