"""A checkpoint of whole words that loads in a moment, and what tests change in it or ask it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import BertConfig

from tests.tiny_models import PAD, VOCABULARY, word_tokenizer, write_any_classifier

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
