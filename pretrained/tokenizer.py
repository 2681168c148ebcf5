"""Loads the fast tokenizer of a checkpoint, whichever transformers wrote it, and chooses the padding token."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.models.auto.tokenization_auto import tokenizer_class_from_name

from pretrained import CheckpointError
from pretrained.files import read_object
from repository.manifest import TOKENIZER_FILE

SETTINGS = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
TOKEN_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
SIDES = ("padding_side", "truncation_side")
# What slow tokenizers keep their vocabulary in: vocab.txt, vocab.json; spm.model, spiece.model, tokenizer.model and so
# on, which SentencePiece wrote.
SLOW_VOCABULARIES = ("vocab*", "*.model")
# transformers 4.57 takes the tokenizer of any local folder for one of Mistral's with a faulty pattern where config.json
# does not tell the version that wrote it; a version is served as its checkpoint was trained.
AS_TRAINED = {"fix_mistral_regex": False}


def load_fast_tokenizer(folder: Path, trust_remote_code: bool = False) -> Any:
    """The tokenizer in `folder`; a slow one is converted where transformers knows how.

    transformers 5 writes class names and settings that 4.57 refuses. What a tokenizer does is whole in tokenizer.json
    then, so it is read without the class.

    Raises:
        CheckpointError: there is none, it is broken, or it has no fast form.
    """
    settings = read_object(folder / SETTINGS) if (folder / SETTINGS).is_file() else {}
    if (folder / TOKENIZER_FILE).is_file():
        _check_tokenizer(folder / TOKENIZER_FILE)
        if not trust_remote_code and _is_foreign(settings):
            return _without_class(folder, settings)
    elif not has_tokenizer(folder):
        raise CheckpointError(f"{folder} holds no tokenizer ({TOKENIZER_FILE}): save the tokenizer beside the model")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, use_fast=True, trust_remote_code=trust_remote_code, **AS_TRAINED
        )
    except Exception as error:  # anything, by what is wrong with the files
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{folder}: the tokenizer cannot be loaded: {reason}") from None
    if not tokenizer.is_fast:
        raise CheckpointError(
            f"{folder} has no fast tokenizer ({TOKENIZER_FILE}), which the gateway needs, and "
            f"{type(tokenizer).__name__} cannot be converted to one"
        )
    for name in AS_TRAINED:
        tokenizer.init_kwargs.pop(name, None)
    return tokenizer


def has_tokenizer(folder: Path) -> bool:
    """Whether a tokenizer lies there, fast or slow."""
    return (folder / TOKENIZER_FILE).is_file() or any(any(folder.glob(name)) for name in SLOW_VOCABULARIES)


def padding_token(tokenizer: Any, configured: int | None, vocabulary: int) -> int:
    """Id to pad with: the model's own, the tokenizer's, or one that no sentence ends with.

    Args:
        tokenizer: a fast tokenizer.
        configured: `pad_token_id` of the model's configuration.
        vocabulary: number of rows of the model's embedding; other ids cannot be looked up, masked or not.
    """
    for candidate in (configured, tokenizer.pad_token_id):
        if candidate is not None and 0 <= candidate < vocabulary:
            return int(candidate)
    # A decoder reads its answer off the last token that is not padding, so an end that the tokenizer adds is no choice.
    ends = set(tokenizer("a")["input_ids"][-1:])
    for candidate in (tokenizer.eos_token_id, tokenizer.unk_token_id, tokenizer.bos_token_id):
        if candidate is not None and 0 <= candidate < vocabulary and candidate not in ends:
            return int(candidate)
    return 0


def check_vocabulary(source: str, tokenizer: Any, vocabulary: int) -> None:
    """Refuse a tokenizer that gives ids past the model's embedding; a padding token there is never sent.

    Raises:
        CheckpointError: tokenizer and model do not belong together.
    """
    outside = [token for token, index in tokenizer.get_vocab().items() if index >= vocabulary]
    if outside and outside != [tokenizer.pad_token]:
        raise CheckpointError(
            f"{source}: the tokenizer gives ids past the {vocabulary} rows of the model's embedding (such as "
            f"{outside[0]!r}): it belongs to another model, or resize_token_embeddings was not called"
        )


def _check_tokenizer(path: Path) -> None:
    read_object(path)
    try:
        Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain Exception
        raise CheckpointError(f"{path} is no tokenizer: {' '.join(str(error).split())[:200]}") from None


def _is_foreign(settings: Mapping[str, Any]) -> bool:
    """Whether transformers 5 wrote it, or a class that 4.57 does not know.

    5 leaves out settings that 4.57's classes need (without `do_lower_case`, a cased BERT would be lower-cased).
    """
    name = settings.get("tokenizer_class")
    if "backend" in settings or isinstance(settings.get("extra_special_tokens"), list):
        return True
    if not isinstance(name, str):
        return False
    return all(tokenizer_class_from_name(known) is None for known in (name, f"{name}Fast"))


def _without_class(folder: Path, settings: Mapping[str, Any]) -> Any:
    special = read_object(folder / SPECIAL_TOKENS) if (folder / SPECIAL_TOKENS).is_file() else {}
    options: dict[str, Any] = {
        name: _content(value) for name in TOKEN_NAMES if (value := settings.get(name) or special.get(name))
    }
    if isinstance(limit := settings.get("model_max_length"), int | float) and limit > 0:
        options["model_max_length"] = limit
    options.update({name: settings[name] for name in SIDES if settings.get(name) in ("left", "right")})
    try:
        return PreTrainedTokenizerFast(tokenizer_file=str(folder / TOKENIZER_FILE), **options)
    except Exception as error:  # anything, by what is wrong with the files
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{folder}: the tokenizer cannot be loaded: {reason}") from None


def _content(token: Any) -> str:
    """The text of a special token, which is written as a string or as an object."""
    return str(token["content"]) if isinstance(token, dict) and "content" in token else str(token)
