"""Tiny checkpoints with random weights, one for each family of encoders."""

from pathlib import Path

import torch
from transformers import (
    AutoTokenizer,
    BertForSequenceClassification,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from tests.tiny_models import PACKAGED_ENCODER, tiny_config

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
VOCABULARY = 30522


def _bert() -> PreTrainedModel:
    return BertForSequenceClassification(tiny_config(num_labels=3))


def _roberta() -> PreTrainedModel:
    config = RobertaConfig(vocab_size=VOCABULARY, max_position_embeddings=66, num_labels=3, **SIZES)
    return RobertaForSequenceClassification(config)


def _distilbert() -> PreTrainedModel:
    sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    config = DistilBertConfig(vocab_size=VOCABULARY, max_position_embeddings=64, num_labels=3, **sizes)
    return DistilBertForSequenceClassification(config)


ARCHITECTURES = {"bert": _bert, "roberta": _roberta, "distilbert": _distilbert}


def write_architecture(folder: Path, name: str) -> Path:
    """A sequence classifier with three labels, far apart, in two layers of 32 channels."""
    torch.manual_seed(0)
    return write_model(folder, ARCHITECTURES[name]())


def write_model(folder: Path, model: PreTrainedModel) -> Path:
    """A checkpoint of a model with three labels, whose logits are moved apart."""
    heads = [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module.out_features == 3]
    torch.nn.init.normal_(heads[-1].weight, std=2.0)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(PACKAGED_ENCODER).save_pretrained(folder)
    return folder
