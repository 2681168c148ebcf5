"""Accumulation, smoothing, class weights, 16 bits and LoRA: each does what it says for every kind of label."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.places import ROOT as REPOSITORY

pytest.importorskip("torch")

import torch
from transformers import AutoModelForSequenceClassification

from export.checkpoint.load import load_checkpoint
from pretrained.architectures import ARCHITECTURES
from pretrained.collate import collate
from repository.manifest import ProblemType
from tests.tiny_architectures import tiny_config
from tests.tiny_pipeline import export_checkpoint, write_maps, write_tiny_base
from training.__main__ import app
from training.data.columns import Wanted
from training.data.load import TrainingData, load_data
from training.encoders.base_model import read_base_model
from training.figures.scores import answers_of, scores
from training.fit.predict import logits_of
from training.fit.tasks import Objective
from training.fit.train import Learner
from training.fit.trainer import precision_for, precision_of
from training.settings import Settings

TASKS = list(ProblemType)
TARGETS = {
    ProblemType.SINGLE_LABEL: lambda n: "odd" if n % 2 else "even",
    ProblemType.MULTI_LABEL: lambda n: "|".join(["odd"] * (n % 2) + ["third"] * (n % 3 == 0)) or "none",
    ProblemType.REGRESSION: lambda n: str(100 + n),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_base("bert", tmp_path_factory.mktemp("base"))


def table(folder: Path, task: ProblemType, count: int = 40) -> Path:
    rows = [f"word{n} word{n % 7} {'odd' if n % 2 else 'even'} words,{TARGETS[task](n)}" for n in range(count)]
    (folder / "table.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return folder / "table.csv"


def data_of(folder: Path, task: ProblemType) -> TrainingData:
    return load_data(
        table(folder, task), wanted=Wanted(separator="|" if task is ProblemType.MULTI_LABEL else None, task=task)
    )


def training(*options: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, options)))


# --- gradient accumulation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("weights", ["none", "balanced"])
def test_small_batches_add_up_to_the_gradient_of_a_big_one(
    tmp_path: Path, base: Path, task: ProblemType, weights: Any
) -> None:
    data = data_of(tmp_path, task)
    gradients = [
        first_gradient(
            data,
            base,
            Settings(batch_size=size, gradient_accumulation=count, class_weights=weights, mixed_precision="off"),
        )
        for size, count in ((30, 1), (10, 3), (8, 4))  # the last batch is a short one
    ]
    gradients.insert(0, plain_gradient(data, base, weights))
    largest = gradients[0].abs().max()
    assert largest > 0
    for other in gradients[1:]:
        assert (other - gradients[0]).abs().max() < 1e-5 * largest


def first_gradient(data: TrainingData, base: Path, settings: Settings) -> Any:
    learner = Learner(data, read_base_model(str(base)), settings, Path("unused"), keep=False)
    assert 24 < len(data.splits["train"]) <= 30, "one step is to take all of it"
    learner.model.eval().train = lambda mode=True: learner.model  # noqa: ARG005  # without dropout
    seen = []

    class DoneError(Exception):
        pass

    def step(*_: Any, **__: Any) -> None:
        seen.append(torch.cat([p.grad.flatten() for p in learner.model.parameters() if p.grad is not None]))
        raise DoneError

    learner.trainer.args.max_grad_norm = 0.0
    learner.trainer.optimizer.register_step_pre_hook(step)
    with pytest.raises(DoneError):
        learner.train()
    return seen[0]


def plain_gradient(data: TrainingData, base: Path, weights: Any) -> Any:
    """Of the mean loss of all texts, without a Trainer."""
    learner = Learner(
        data,
        read_base_model(str(base)),
        Settings(class_weights=weights, mixed_precision="off"),
        Path("unused"),
        keep=False,
    )
    batch = collate(learner.trainer.train_dataset, learner.model.config.pad_token_id)
    labels = batch.pop("labels")
    learner.objective.loss(learner.model.eval()(**batch), labels).backward()
    return torch.cat([weight.grad.flatten() for weight in learner.model.parameters() if weight.grad is not None])


# --- the loss -------------------------------------------------------------------------------------------------------


def test_smoothing_spreads_the_target_over_all_labels(tmp_path: Path) -> None:
    logits = {"logits": torch.tensor([[2.0, -1.0], [0.5, 0.25]])}
    single = Objective(data_of(tmp_path, ProblemType.SINGLE_LABEL), label_smoothing=0.2)
    expected = 0.0
    for row, target in zip(logits["logits"].tolist(), ([0.9, 0.1], [0.1, 0.9]), strict=True):
        log_sum = math.log(sum(map(math.exp, row)))
        expected -= sum(share * (value - log_sum) for share, value in zip(target, row, strict=True)) / 2
    assert float(single.loss(logits, torch.tensor([0, 1]))) == pytest.approx(expected, rel=1e-5)
    several = Objective(data_of(tmp_path, ProblemType.MULTI_LABEL), label_smoothing=0.2)
    values = {"logits": torch.tensor([[2.0, -1.0, 0.0]])}
    expected = 0.0
    for value, target in zip([2.0, -1.0, 0.0], [0.9, 0.1, 0.1], strict=True):
        chance = 1 / (1 + math.exp(-value))
        expected -= (target * math.log(chance) + (1 - target) * math.log(1 - chance)) / 3
    assert float(several.loss(values, torch.tensor([[1.0, 0.0, 0.0]]))) == pytest.approx(expected, rel=1e-5)


def test_of_several_labels_a_rare_one_counts_for_as_much_as_its_absence(tmp_path: Path) -> None:
    data = data_of(tmp_path, ProblemType.MULTI_LABEL)
    objective = Objective(data, "balanced")
    gradients = []
    for members in (data.splits["train"],):
        logits = torch.zeros(len(members), len(data.labels), requires_grad=True)
        objective.loss({"logits": logits}, torch.tensor(objective.encoded(members))).backward()
        gradients.append(logits.grad.sum(dim=0))
    # At logit 0 a true and a false label pull alike: balanced, they cancel out over the texts of train.
    assert gradients[0].abs().max() < 1e-6
    unweighted = torch.zeros(len(members), len(data.labels), requires_grad=True)
    Objective(data).loss({"logits": unweighted}, torch.tensor(objective.encoded(members))).backward()
    assert unweighted.grad.sum(dim=0).abs().max() > 0.01


@pytest.mark.parametrize("option", [("--label-smoothing", "0.1"), ("--class-weights", "balanced")])
def test_what_a_number_has_no_use_for_is_refused(tmp_path: Path, option: tuple[str, str]) -> None:
    done = training(
        "--data", table(tmp_path, ProblemType.REGRESSION), "--output", tmp_path / "out", "--task", "regression", *option
    )
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert option[0] in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_half_precision_without_a_gpu_is_refused(tmp_path: Path) -> None:
    data = table(tmp_path, ProblemType.SINGLE_LABEL)
    done = training("--data", data, "--output", tmp_path / "out", "--mixed-precision", "fp16")
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "needs a GPU" in done.stderr


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    ("features", "taken"),
    [({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16"), ({"avx512_bf16": False}, "off"), ({}, "off")],
)
def test_a_processor_trains_in_bfloat16_where_it_multiplies_in_it(
    monkeypatch: pytest.MonkeyPatch, features: dict[str, bool], taken: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: features, raising=False)
    assert precision_of("auto") == taken
    assert precision_of("off") == "off"


def test_a_model_that_cannot_compute_in_bfloat16_is_trained_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    example = {"input_ids": [5, 6, 7]}
    deberta, bert = (
        AutoModelForSequenceClassification.from_config(tiny_config(model_type)).eval()
        for model_type in ("deberta", "bert")
    )
    assert precision_for(bert, example, "auto") == "bf16"
    assert precision_for(deberta, example, "auto") == "off"
    assert precision_for(deberta, example, "bf16") == "bf16", "what is asked for is not changed"


# --- LoRA, in bfloat16 and smoothed, from the command line to the graph ----------------------------------------------


@pytest.mark.parametrize("model_type", ["bert", "qwen2"])
def test_adapters_are_merged_and_the_checkpoint_exports(tmp_path: Path, model_type: str) -> None:
    base = write_tiny_base(model_type, tmp_path / "base")
    options = ["--lora", "--lora-rank", "4", "--mixed-precision", "bf16", "--label-smoothing", "0.1"]
    options += ["--gradient-accumulation", "2", "--batch-size", "4", "--epochs", "2", "--no-baseline"]
    output = tmp_path / "checkpoint"
    done = training("--data", write_maps(tmp_path / "maps.csv"), "--base-model", base, "--output", output, *options)
    assert done.exit_code == 0, done.output
    assert not list(output.glob("adapter*"))
    report = json.loads((output / "training_report.json").read_text())
    assert (report["settings"]["lora_rank"], report["settings"]["mixed_precision"]) == (4, "bf16")
    trained = load_checkpoint(str(output))
    assert not [name for name, _ in trained.model.named_parameters() if "lora" in name]
    export_checkpoint(output, tmp_path / "version")  # which compares the graph with PyTorch
    assert figures_of(output, tmp_path / "maps.csv") == (report["test"]["accuracy"], report["test"]["macro_f1"])
    before = read_base_model(str(base))
    from training.fit.train import load_classifier

    layers = dict(load_classifier(before, trained.labels).named_parameters())
    changed = {name for name, now in trained.model.named_parameters() if not torch.equal(now, layers[name])}
    assert [name for name in changed if re.search(r"attention|attn", name)]
    assert not [name for name in changed if "embed" in name or "norm" in name.lower()], "only linear layers adapt"


def figures_of(checkpoint: Path, file: Path) -> tuple[float, float]:
    """In 32 bits, as it is served."""
    loaded, test = load_checkpoint(str(checkpoint)), load_data(file).splits["test"]
    logits = logits_of(loaded.model, loaded.tokenizer, [example.text for example in test], loaded.max_length)
    found = scores(
        [e.target for e in test], answers_of(logits, loaded.labels, loaded.problem_type), loaded.problem_type
    )
    return round(found["accuracy"], 4), round(found["macro_f1"], 4)


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_every_architecture_answers_the_same_once_its_adapters_are_merged(tmp_path: Path, model_type: str) -> None:
    from training.fit.lora import LoraError, add_adapters
    from training.fit.optimizer import freeze_lower_layers
    from training.fit.train import load_classifier

    base = read_base_model(str(write_tiny_base(model_type, tmp_path)))
    model = load_classifier(base, ["a", "b"]).eval()
    freeze_lower_layers(model, 0.0)
    if model_type == "squeezebert":  # all convolutions
        with pytest.raises(LoraError, match="no linear layers"):
            add_adapters(model, 4)
        return
    tuner = add_adapters(model, 4)
    plain = logits_of(model, base.tokenizer, ["learn a language", "cook"], 16)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    assert all(weight.requires_grad for name, weight in model.named_parameters() if "lora_" in name)
    adapted = logits_of(model, base.tokenizer, ["learn a language", "cook"], 16)
    tuner.merge_and_unload()
    merged = logits_of(model, base.tokenizer, ["learn a language", "cook"], 16)
    assert np.abs(adapted - plain).max() > 1e-4
    np.testing.assert_allclose(merged, adapted, atol=2e-5)


# --- what is shown --------------------------------------------------------------------------------------------------


def test_an_epoch_is_one_line_of_a_table_and_nothing_else_is_said(tmp_path: Path, base: Path) -> None:
    options = ["--data", write_maps(tmp_path / "maps.csv"), "--base-model", base, "--epochs", "2"]
    command = [sys.executable, "-m", "training", *map(str, options), "--output", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert re.split(r"\s{2,}", lines[1].strip()) == [
        "epoch",
        "train loss",
        "validation loss",
        "accuracy",
        "macro-F1",
        "seconds",
    ]
    assert re.fullmatch(r"\s+1(\s+\d\.\d{3}){4}\s+\d+  best", lines[2])
    assert re.fullmatch(r"\s+2(\s+\d\.\d{3}){4}\s+\d+(  best)?", lines[3])
    assert lines[4].strip() == "On maps never seen"
