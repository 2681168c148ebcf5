"""Which pieces of a large vocabulary `--vocabulary trimmed` keeps: those trained on, characters, the likeliest others.

Four of five weights of a small multilingual encoder are its vocabulary's, most of it pieces of languages that a model
never meets. Only a unigram vocabulary can lose some of them: it splits a text into the likeliest pieces that there are,
so that

- a word whose pieces are all kept is split as before;
- any other one is split into other pieces that are kept, in the end single characters: nothing becomes unknown.

Rows of the embedding are taken over as they are; the ids of the tokens that remain are counted anew.
"""

import copy
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from pretrained.architectures import architecture_of
from pretrained.tokenizer import SETTINGS, SPECIAL_TOKENS, load_fast_tokenizer
from repository.manifest import TOKENIZER_FILE
from repository.strict_json import strict_json
from training.encoders.base_model import BaseModel
from training.settings import Vocabulary

# Unless the training data has more. Of the multilingual encoder, on maps and sentences in five languages that were not
# trained on: 55,000 pieces leave 0.82 and 0.86 of the tokens as they were, and macro-F1 on validation maps was 0.1
# lower; 160,000 leave 0.97 and 0.999.
PIECES = 160_000


class VocabularyError(ValueError):
    """This vocabulary can't be trimmed; the message is one sentence for the person who asked for it."""


@dataclass(frozen=True)
class _Kept:
    """What is left of a vocabulary."""

    pieces: list[int]
    """Ids of pieces, in order."""
    others: list[int]
    """Ids past them that have a row of the embedding or are added when the tokenizer is loaded."""

    @property
    def numbers(self) -> dict[int, int]:
        """The new id of each old one."""
        return {old: new for new, old in enumerate([*self.pieces, *self.others])}


def trimmed(base: BaseModel, texts: Sequence[str], choice: Vocabulary, pieces: int | None = None) -> BaseModel:
    """Return `base` with the tokenizer of a trimmed vocabulary, and which rows of its embedding go with it.

    Args:
        base: read, with all of its vocabulary.
        texts: all pieces in them are kept: the texts of the train split.
        choice: what was asked for; with `all`, `base` is returned as it is.
        pieces: to be kept, unless texts and single characters have more; PIECES if None.

    Raises:
        VocabularyError: it can't be done.
    """
    if choice == "all":
        return base
    state = json.loads(base.tokenizer.backend_tokenizer.to_str())
    kind = state["model"].get("type")
    if kind != "Unigram":
        raise VocabularyError(
            f"--vocabulary trimmed: {base.name} has a vocabulary of the kind {kind}, and only one of the kind "
            "Unigram (of SentencePiece) can be trimmed; leave the option out, or give all."
        )
    kept = _choose(base, state, texts, PIECES if pieces is None else pieces)
    tokenizer = _rewritten(base.tokenizer, state, kept)
    rows = [row for row in (*kept.pieces, *kept.others) if row < base.config.vocab_size]
    return replace(base, tokenizer=tokenizer, rows=tuple(rows))


def cut_embeddings(model: Any, rows: Sequence[int]) -> None:
    """Leave `model` these rows of its word embedding, in this order, and count its configuration's ids anew."""
    numbers = {old: new for new, old in enumerate(rows)}
    whole = model.get_input_embeddings().weight
    smaller = nn.Parameter(whole.detach()[torch.tensor(rows)].clone(), requires_grad=whole.requires_grad)
    for module in model.modules():
        # An encoder-decoder looks its words up in several modules that share one table.
        if isinstance(module, nn.Embedding) and module.weight is whole:
            module.weight = smaller
            module.num_embeddings = len(rows)
            module.padding_idx = None if module.padding_idx is None else numbers.get(module.padding_idx)
    model.config.vocab_size = len(rows)
    for name, token in _configured_tokens(model.config).items():
        setattr(model.config, name, numbers.get(token))


def _choose(base: BaseModel, state: Mapping[str, Any], texts: Sequence[str], pieces: int) -> _Kept:
    vocabulary = state["model"]["vocab"]
    configured = set(_configured_tokens(base.config).values())
    added = {token["id"] for token in state["added_tokens"]}
    known = {text for text, _ in vocabulary if len(text) == 1}
    kept = {
        index
        for index, (text, _) in enumerate(vocabulary)
        # A character without a piece of its own is known in these alone; so is a byte, where bytes stand for the rest.
        if not known.issuperset(text) or len(text) == 1 or (len(text) == 6 and text.startswith("<0x"))
    }
    # An unknown character costs ten more than the rarest piece: with it, no split changes for that.
    kept.add(min(range(len(vocabulary)), key=lambda index: vocabulary[index][1]))
    if state["model"]["unk_id"] is not None:
        kept.add(state["model"]["unk_id"])
    kept |= added | configured | _processed_tokens(state["post_processor"])
    if architecture_of(base.config).counts_from_padding:
        kept |= set(range(base.config.pad_token_id))  # positions are counted from its id, which stays
    kept |= {token for text in base.tokenizer(list(texts))["input_ids"] for token in text}
    # Other languages of the same script are mostly told apart by their letters.
    normalized = (base.tokenizer.backend_tokenizer.normalizer or _AsItIs()).normalize_str
    written = {"▁"}.union(*(normalized(text) for text in texts))
    likeliest = sorted(
        range(len(vocabulary)),
        key=lambda index: (not written.issuperset(vocabulary[index][0]), -vocabulary[index][1]),
    )
    rest = [index for index in likeliest if index not in kept]
    inside = {token for token in kept if token < len(vocabulary)}
    inside |= set(rest[: max(0, pieces - len(inside))])
    others = sorted(token for token in added if token >= len(vocabulary))
    others += sorted(token for token in configured if token >= len(vocabulary) and token not in added)
    return _Kept(sorted(inside), others)


def _configured_tokens(config: Any) -> dict[str, int]:
    """Return the tokens that a configuration names by id, as `pad_token_id`."""
    return {
        name: value
        for name, value in vars(config).items()
        if name.endswith("_token_id") and isinstance(value, int) and 0 <= value < config.vocab_size
    }


def _processed_tokens(processor: Mapping[str, Any] | None) -> set[int]:
    """Return the ids of what a post-processor puts around a text."""
    tokens: set[int] = set()
    _renumber_processor(copy.deepcopy(processor), _Noting(tokens))
    return tokens


class _AsItIs:
    @staticmethod
    def normalize_str(text: str) -> str:
        return text


class _Noting(dict[int, int]):
    """Numbers each id as itself and notes that it was asked for."""

    def __init__(self, noted: set[int]) -> None:
        self._noted = noted

    def __missing__(self, token: int) -> int:
        self._noted.add(token)
        return token


def _renumber_processor(processor: Any, numbers: Mapping[int, int]) -> None:
    if not processor:
        return
    for part in processor.get("processors", ()):
        _renumber_processor(part, numbers)
    if isinstance(special := processor.get("special_tokens"), dict):
        for token in special.values():
            token["ids"] = [numbers[each] for each in token["ids"]]
    for name in ("sep", "cls"):  # of BERT's and RoBERTa's: [text, id]
        if name in processor:
            processor[name][1] = numbers[processor[name][1]]


def _rewritten(tokenizer: Any, state: dict[str, Any], kept: _Kept) -> Any:
    """Return `tokenizer` with the kept pieces, loaded anew from files that know of no others."""
    numbers = kept.numbers
    model = state["model"]
    model["vocab"] = [model["vocab"][index] for index in kept.pieces]
    model["unk_id"] = numbers[model["unk_id"]] if model["unk_id"] is not None else None
    for token in state["added_tokens"]:
        token["id"] = numbers[token["id"]]
    _renumber_processor(state["post_processor"], numbers)
    state["truncation"] = state["padding"] = None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tokenizer.save_pretrained(folder)
        settings = json.loads((folder / SETTINGS).read_bytes())
        decoder = settings.get("added_tokens_decoder", {})
        settings["added_tokens_decoder"] = {str(numbers[int(token)]): each for token, each in decoder.items()}
        for path in folder.iterdir():
            if path.name not in (SETTINGS, SPECIAL_TOKENS, TOKENIZER_FILE):
                path.unlink()  # a slow tokenizer's vocabulary, still whole
        (folder / SETTINGS).write_text(strict_json(settings), encoding="utf-8")
        (folder / TOKENIZER_FILE).write_text(strict_json(state, ensure_ascii=False), encoding="utf-8")
        return load_fast_tokenizer(folder)
