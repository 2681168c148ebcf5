"""How long are texts in tokens of a base model, and which are cut? Read from its tokenizer; needs no torch."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from pretrained.lengths import NO_LIMIT, own_max_length, usual_max_length
from training.data.examples import DataError
from training.encoders.base_folder import BaseModelError, place_of, tokenizer_folder
from training.encoders.packaged import DEFAULT

PERCENTILES = (50, 90, 95, 99, 100)
_CHUNK = 1024


@dataclass(frozen=True)
class Lengths:
    """Lengths of texts, special tokens included."""

    base_model: str
    percentiles: dict[int, int]
    limit: int
    """What the model is served with, in tokens."""
    max_length: int
    """What is trained on, in tokens."""
    cut_in_training: int
    """Texts longer than `max_length`."""
    cut_when_served: int
    """Texts longer than `limit`."""
    unknown: float
    """Share of tokens that the vocabulary has no piece for."""


def measure_lengths(
    texts: Sequence[str], base_model: str | None, max_length: int, advance: Callable[[int], object] = lambda _: None
) -> Lengths:
    """Tokenize texts as a base model does.

    Args:
        texts: one or more.
        base_model: a folder, a name of `training.encoders.packaged`, or a hub id; None: the default.
        max_length: of training, in tokens.
        advance: told how many texts are done.

    Raises:
        DataError: there is no such model, or it has no tokenizer that is known.
    """
    try:
        folder = tokenizer_folder(place_of(base_model))
    except BaseModelError as error:
        raise DataError(str(error)) from None
    tokenizer = _tokenizer(folder)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    unknown = _unknown_id(tokenizer)
    lengths = np.empty(len(texts), dtype=np.int64)
    unknowns = 0
    for start in range(0, len(texts), _CHUNK):
        chunk = tokenizer.encode_batch(list(texts[start : start + _CHUNK]))
        lengths[start : start + len(chunk)] = [len(encoding.ids) for encoding in chunk]
        unknowns += sum(encoding.ids.count(unknown) for encoding in chunk) if unknown is not None else 0
        advance(len(chunk))
    limit = usual_max_length(_own_limit(folder))
    return Lengths(
        base_model=base_model or DEFAULT,
        percentiles={one: int(np.percentile(lengths, one, method="higher")) for one in PERCENTILES},
        limit=limit,
        max_length=min(max_length, limit),
        cut_in_training=int((lengths > min(max_length, limit)).sum()),
        cut_when_served=int((lengths > limit).sum()),
        unknown=unknowns / int(lengths.sum()),
    )


def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    try:
        if path.is_file():
            return Tokenizer.from_file(str(path))
        from pretrained.tokenizer import load_fast_tokenizer  # transformers converts an older format

        return load_fast_tokenizer(folder).backend_tokenizer
    except Exception as error:  # tokenizers raises a bare one
        raise DataError(
            f"base model {folder} has no tokenizer to count by ({' '.join(str(error).split())[:150]})."
        ) from None


def _unknown_id(tokenizer: Any) -> int | None:
    model = json.loads(tokenizer.to_str())["model"]
    if isinstance(model.get("unk_id"), int):
        return int(model["unk_id"])
    return tokenizer.token_to_id(model["unk_token"]) if model.get("unk_token") else None


def _own_limit(folder: Path) -> int | None:
    """Return the least of what the table of positions and the tokenizer allow, by their files."""
    config, settings = _read(folder / "config.json"), _read(folder / "tokenizer_config.json")
    longest = settings.get("model_max_length")
    return own_max_length(
        SimpleNamespace(
            **{name: config.get(name) for name in ("model_type", "max_position_embeddings", "pad_token_id")}
        ),
        SimpleNamespace(model_max_length=longest if isinstance(longest, int | float) else NO_LIMIT),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
