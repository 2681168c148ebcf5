"""The base model is a folder, a hub id, or an encoder that came with a package: found and checked here."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoConfig, AutoModelForSequenceClassification
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from pretrained import CheckpointError
from pretrained.architectures import Head, architecture_of, require_known
from pretrained.lengths import own_max_length, usual_max_length
from pretrained.quantization import require_full_precision
from pretrained.tokenizer import check_vocabulary, load_fast_tokenizer, padding_token
from training.encoders.base_folder import BaseModelError, first_line, place_of, tokenizer_folder, why_not_fetched

# For a decoder whose tokenizer names no token that could fill rows.
_NEW_PADDING = "<pad>"


@dataclass(frozen=True)
class BaseModel:
    """A base model whose configuration and tokenizer have been read; its weights have not."""

    name: str
    """Folder or hub id."""
    config: Any
    tokenizer: Any
    sequence_limit: int
    """The longest sequence that is evaluated, as it is served: its own limit, or 2048 tokens where that is longer."""
    longest: int
    """The longest sequence it can take, in tokens."""
    pools_by_mean: bool
    """It is a sentence encoder whose training averaged all tokens (see `training.encoders.mean_pooling`)."""
    rows: tuple[int, ...] | None = None
    """Rows of its word embedding that go with `tokenizer`, if not all as they are (`training.encoders.vocabulary`)."""
    version: str | None = None
    """The published version that was exported from it, for people: `version 3 of classifier`; None: it is none's."""


def read_base_model(name: str | None) -> BaseModel:
    """Read the configuration and the tokenizer of a base model, one of `training.encoders.packaged` if `name` is None.

    Code that a model brings along is never run.

    Raises:
        BaseModelError: there is no such model, the hub can't be reached, or it can't be trained, exported and served.
    """
    transformers_logging.set_verbosity_error()  # what it warns of is checked here, or no news to the user
    name = place_of(name)
    folder = Path(name)
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise BaseModelError(f"base model {name} is a folder without a config.json; name a Hugging Face model.")
    try:
        config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    except Exception as error:  # transformers raises OSError, ValueError, KeyError, ImportError, its own ...
        raise BaseModelError(_why(name, folder.is_dir(), error)) from None
    try:
        require_known(name, config.model_type)
        require_full_precision(name, config.to_dict(), folder if folder.is_dir() else None)
        if type(config) not in AutoModelForSequenceClassification._model_mapping:
            raise CheckpointError(f"{name} is of type {config.model_type}, which has no sequence classifier.")
        tokenizer = load_fast_tokenizer(tokenizer_folder(name))
        check_vocabulary(name, tokenizer, config.vocab_size)
    except CheckpointError as error:
        raise BaseModelError(f"base model {error}") from None
    own_length = own_max_length(config, tokenizer)
    _mend_padding(config, tokenizer)
    _check_end(name, config, tokenizer)
    usual = usual_max_length(own_length)
    return BaseModel(name, config, tokenizer, usual, own_length or usual, _pools_by_mean(name))


def _why(name: str, local: bool, error: Exception) -> str:
    return f"base model {name} can't be loaded: {first_line(error)}" if local else why_not_fetched(name, error)


def _mend_padding(config: Any, tokenizer: Any) -> None:
    """See to it that the configuration names a token that fills rows: batches need it, in training and in serving.

    The model's own comes first: RoBERTa's kin count positions from it.
    """
    special = [tokenizer.pad_token_id, tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id]
    if config.pad_token_id is None and special == [None] * len(special):
        # Any word could be the last of a sentence, which a decoder reads its answer from.
        tokenizer.add_special_tokens({"pad_token": _NEW_PADDING})
        config.pad_token_id = tokenizer.pad_token_id
        return
    config.pad_token_id = padding_token(tokenizer, config.pad_token_id, config.vocab_size)
    if tokenizer.pad_token is None and config.pad_token_id in special:
        tokenizer.pad_token = tokenizer.convert_ids_to_tokens(config.pad_token_id)


def _check_end(name: str, config: Any, tokenizer: Any) -> None:
    """An encoder-decoder's classifier reads the end token of a sentence, which the tokenizer has to give."""
    if architecture_of(config).head is Head.LAST_EOS and config.eos_token_id not in tokenizer("a")["input_ids"]:
        raise BaseModelError(
            f"base model {name}: its classifier reads the end token (eos_token_id {config.eos_token_id}), which its "
            "tokenizer does not put after a sentence; they are not of one model."
        )


def _pools_by_mean(name: str) -> bool:
    """Return whether sentence-transformers' settings beside the model say that it averages its tokens."""
    try:
        settings = cached_file(name, "1_Pooling/config.json", _raise_exceptions_for_missing_entries=False)
    except OSError:
        return False
    return settings is not None and '"pooling_mode_mean_tokens": true' in Path(settings).read_text(encoding="utf-8")
