"""Token types (`token_type_ids`): which models read them, so that their graph has to be told.

BERT and its kin add another vector to the tokens of the second text of a pair, GPT-2 an embedding to every token for
which they are given at all. `export.graph.token_type_mask` is how a graph with two inputs is told.
"""

from dataclasses import dataclass
from typing import Any

import torch

from export import ExportError
from pretrained.inputs import ATTENTION_MASK, INPUT_IDS, TOKEN_TYPE_IDS, accepted_inputs

# Beside the empty text, so that what frames a text is seen without one too.
_PROBES = ("", "a", "a b c d e f g h")
# Two runs of the same sums give the same bits; a vector that moves a logit by less is none that anyone sees.
_SAME = 1e-6


@dataclass(frozen=True)
class TokenTypes:
    """How a model that is fed as the pipeline feeds it gets its token types.

    Attributes:
        by_mask: they differ from token to token, and the attention mask tells them.
        zeros: they are given, as zeros, to a model that answers otherwise without them.
    """

    by_mask: bool = False
    zeros: bool = False


def token_types_of(source: str, model: Any, tokenizer: Any) -> TokenTypes:
    """Find out what the tokenizer gives, and what the model does with it, by asking both.

    Args:
        source: name of the checkpoint, for errors.
        model: a sequence classifier in evaluation mode.
        tokenizer: gives only what the model takes (see `pretrained.inputs.leave_out_unread`).

    Raises:
        ExportError: the model reads what ids and mask cannot tell.
    """
    given = set(tokenizer("a")) & accepted_inputs(model)
    if unknown := sorted(given - {INPUT_IDS, ATTENTION_MASK, TOKEN_TYPE_IDS}):
        raise ExportError(
            f"{source}: its tokenizer also gives {', '.join(unknown)}, which the model reads and a served graph, of "
            "token ids and mask alone, is not told"
        )
    if TOKEN_TYPE_IDS not in given:
        return TokenTypes()
    bare, zeros, ones = (_answer(model, kind) for kind in (None, 0, 1))
    if _same(bare, zeros) and _same(zeros, ones):
        return TokenTypes()
    alone = {kind for text in _PROBES for kind in tokenizer(text)[TOKEN_TYPE_IDS]}
    if beyond := sorted(kind for kind in alone if kind > 1 or (kind == 1 and ones is None)):
        raise ExportError(
            f"{source}: its tokenizer marks tokens of a text with token type {beyond[0]}, which the model reads and a "
            "served graph, of token ids and mask alone, is not told"
        )
    kinds = alone | set(tokenizer("a", "b")[TOKEN_TYPE_IDS])
    by_mask = ones is not None and 1 in kinds and kinds <= {0, 1}
    return TokenTypes(by_mask, zeros=not _same(bare, zeros))


def _answer(model: Any, kind: int | None) -> torch.Tensor | None:
    """Logits for a few random rows whose tokens are all of one type; None where the model has no such type."""
    chance = torch.Generator().manual_seed(0)
    ids = torch.randint(model.get_input_embeddings().weight.shape[0], (4, 6), generator=chance)
    types = {} if kind is None else {TOKEN_TYPE_IDS: torch.full_like(ids, kind)}
    try:
        with torch.inference_mode():
            # Row by row: a decoder without a padding token takes no batch.
            rows = [
                model(input_ids=ids[[row]], attention_mask=torch.ones_like(ids[[row]]), **_row(types, row)).logits
                for row in range(len(ids))
            ]
    except (IndexError, RuntimeError):
        return None
    return torch.cat(rows)


def _row(tensors: dict[str, torch.Tensor], row: int) -> dict[str, torch.Tensor]:
    return {name: tensor[[row]] for name, tensor in tensors.items()}


def _same(first: torch.Tensor | None, second: torch.Tensor | None) -> bool:
    return first is not None and second is not None and bool((first - second).abs().max() <= _SAME)
