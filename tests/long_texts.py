"""Texts of a given length in tokens, and what a model in PyTorch says of a text in windows, in few lines."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification

from pretrained.tokenizer import load_fast_tokenizer

SENTENCE = "learn, a new language! Stühle 😀 bauen cook bread with music "


def text_of(tokenizer: Any, tokens: int) -> str:
    """A text of so many tokens, special ones aside."""
    for skipped in range(len(SENTENCE)):
        text = (SENTENCE * (2 + tokens // 4))[skipped:]
        spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
        start = text[: spans[tokens - 1][1]]  # which may have more by itself, if it ends within a character
        if len(tokenizer(start, add_special_tokens=False)["input_ids"]) == tokens:
            return start
    raise AssertionError(f"no text of {tokens} tokens")


class Reference:
    """A checkpoint, asked by transformers and PyTorch."""

    def __init__(self, checkpoint: Path, limit: int, overlap: int) -> None:
        self.limit = limit
        self.tokenizer = load_fast_tokenizer(checkpoint)
        self._model = AutoModelForSequenceClassification.from_pretrained(checkpoint).eval()
        self._cut = {"max_length": limit, "stride": overlap, "return_overflowing_tokens": True}

    def windows(self, *texts: str, truncation: str | bool = True) -> torch.Tensor:
        """The logits of each window `[windows, labels]`, in the order of `transformers`."""
        found = self.tokenizer(*texts, truncation=truncation, **self._cut)
        found.pop("overflow_to_sample_mapping")
        with torch.inference_mode():
            asked = [
                {name: torch.tensor([row[at]]) for name, row in found.items()} for at in range(len(found["input_ids"]))
            ]
            return torch.cat([self._model(**inputs).logits for inputs in asked])

    def scores(self, *texts: str, truncation: str | bool = True) -> dict[str, float]:
        """By label, from the mean of the windows' logits."""
        scores = self.windows(*texts, truncation=truncation).double().mean(dim=0).softmax(dim=-1)
        return {self._model.config.id2label[place]: float(score) for place, score in enumerate(scores)}
