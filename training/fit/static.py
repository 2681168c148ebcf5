"""A student without its teacher's layers: a vector for each token, their average, and a classifier on that.

Such *static embeddings* cost next to nothing: what a token means is looked up, not computed. A token's vector begins as
what the teacher's last layer gives for that token alone, without a neighbour (as Model2Vec does, Tulkens and van
Dongen, 2024), and is trained with the rest. The teacher's own table of words would know less: words of two languages
that mean the same have nothing in common there yet.

The student is an ordinary `BertForSequenceClassification` of one layer, which any tool can load. The layer begins as
the mean of all tokens (`training.encoders.mean_pooling`) and learns which ones count; positions say nothing. Its
exported graph computes nearly all of it for a sentence's first token alone (`export.graph.first_token`).
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, BertForSequenceClassification, set_seed

from training.encoders.base_model import BaseModel
from training.encoders.mean_pooling import begin_as_mean_pooling
from training.fit.layers import LayersError

# Against 1 for the weights that all texts share: a token is in few texts, and its vector has to learn from these.
TOKEN_RATE = 10 / 3
# The vectors of all tokens are far more numbers than there are texts to learn them from.
DROPOUT = 0.3
# Of a text's tokens are left out at random each time it is read, but for the first one, which the classifier reads.
LEFT_OUT = 0.1
# Asked of the teacher at once, three tokens each.
_TOKENS_AT_ONCE = 512
# Heads of the layer, or as many of them as divide the width.
_HEADS = 12


class TokenVectors(nn.Module):
    """The table of words in training: the tokens that occur in texts have trained rows, all others fixed ones.

    AdamW touches each row of what it trains at each step. Of a multilingual vocabulary that is twenty times the rows
    that the texts use.
    """

    ids: torch.Tensor
    rows: torch.Tensor
    fixed: torch.Tensor

    def __init__(self, vectors: torch.Tensor, used: Sequence[int]) -> None:
        """Take the vector of each token, FP32 `[tokens, width]`, and the ids of those to train, each once."""
        super().__init__()
        ids = torch.tensor(used)
        rows = torch.full((len(vectors),), -1)
        rows[ids] = torch.arange(len(ids))
        self.weight = nn.Parameter(vectors[ids].clone())
        # They are computed anew where a run goes on.
        self.register_buffer("ids", ids, persistent=False)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("fixed", vectors, persistent=False)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return the vectors `[batch, tokens, width]` of ids `[batch, tokens]`."""
        rows = self.rows[input_ids]
        trained = nn.functional.embedding(rows.clamp(min=0), self.weight)
        return torch.where((rows >= 0).unsqueeze(-1), trained, self.fixed[input_ids])

    @torch.no_grad()
    def whole(self, pad_token_id: int | None) -> nn.Embedding:
        """Return one table of all."""
        vectors = self.fixed.clone()
        vectors[self.ids] = self.weight.detach()
        table = nn.Embedding(vectors.shape[0], vectors.shape[1], padding_idx=pad_token_id)
        table.weight.copy_(vectors)
        return table.to(vectors.device)


@torch.inference_mode()
def token_vectors(
    name: str,
    model: Any,
    tokenizer: Any,
    half: torch.dtype | None,
    advance: Callable[[int], object],
) -> torch.Tensor:
    """Return what a teacher's last layer gives for each token of its vocabulary alone, FP32 `[tokens, width]`.

    Also for tokens that no text to learn from has, nine in ten of a multilingual vocabulary: live texts may have them.

    Each is framed as a text is, by the tokens that the tokenizer puts around one.

    Args:
        name: of the teacher, for errors.
        model: the teacher, in evaluation mode.
        tokenizer: its own.
        half: what it computes in; None: in float32.
        advance: is told of how many tokens more it was asked.

    Raises:
        LayersError: it gives no vector for each token.
    """
    count, frame = model.get_input_embeddings().weight.shape[0], _frame(name, tokenizer)
    found = []
    for part in torch.split(torch.arange(count), _TOKENS_AT_ONCE):
        with torch.autocast(model.device.type, dtype=half, enabled=half is not None):
            found.append(_vectors(name, model, frame, part))
        advance(len(part))
    return torch.cat(found)


def check_vectors(name: str, model: Any, tokenizer: Any) -> None:
    """Raise LayersError unless a teacher gives a vector for each token."""
    if getattr(model.config, "is_encoder_decoder", False):
        raise LayersError(f"{name} is an encoder and a decoder: name a teacher of one kind.")
    last = torch.tensor([model.get_input_embeddings().weight.shape[0] - 1])
    with torch.inference_mode():
        _vectors(name, model, _frame(name, tokenizer), last)


def _vectors(name: str, model: Any, frame: tuple[list[int], list[int]], tokens: torch.Tensor) -> torch.Tensor:
    before, after = frame
    row = [*before, -1, *after]  # the token's place
    ids = torch.stack([tokens if token < 0 else torch.full_like(tokens, token) for token in row], dim=1)
    ids = ids.to(model.device)
    output = getattr(model.base_model(input_ids=ids, attention_mask=torch.ones_like(ids)), "last_hidden_state", None)
    if output is None or output.shape[:2] != ids.shape:
        raise LayersError(f"{name}: it gives no vector for each token to begin with; name another teacher.")
    vectors: torch.Tensor = output[:, len(before)].float().cpu()
    return vectors


def _frame(name: str, tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids of the tokens before and after a text."""
    framed, bare = (tokenizer("a", add_special_tokens=frame)["input_ids"] for frame in (True, False))
    for start in range(len(framed)):
        if framed[start : start + len(bare)] == bare:
            return framed[:start], framed[start + len(bare) :]
    raise LayersError(f"{name}: its tokenizer changes a text's tokens where it frames them; name another teacher.")


def used_tokens(encoded: Sequence[dict[str, Any]]) -> list[int]:
    """Return the ids that occur in these texts, in order."""
    return sorted({token for each in encoded for token in each["input_ids"]})


def static_student(teacher: Any, base: BaseModel, vectors: torch.Tensor, used: Sequence[int], seed: int) -> Any:
    """Return a student at its beginning: a classifier whose table of words is a `TokenVectors`.

    Args:
        teacher: configuration of the model whose labels and inputs it has.
        base: of the teacher.
        vectors: of each token, FP32 `[tokens, width]` (`token_vectors`).
        used: ids of the tokens to train. Their vectors are scaled to mean 0 and standard deviation 1 in each channel,
            those of all others in the same way.
        seed: of what begins at random.
    """
    chosen = vectors[torch.tensor(used)]
    vectors = (vectors - chosen.mean(dim=0)) / chosen.std(dim=0, correction=0).clamp(min=1e-6)
    set_seed(seed)
    model = BertForSequenceClassification(_config(teacher, base, vectors.shape))
    embeddings = model.bert.embeddings
    embeddings.word_embeddings = TokenVectors(vectors, used)
    nn.init.zeros_(embeddings.position_embeddings.weight)
    begin_as_mean_pooling(model)
    return model


def _config(teacher: Any, base: BaseModel, shape: torch.Size) -> BertConfig:
    tokens, width = shape
    return BertConfig(
        vocab_size=tokens,
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=math.gcd(width, _HEADS),
        intermediate_size=4 * width,
        hidden_dropout_prob=DROPOUT,
        attention_probs_dropout_prob=DROPOUT,
        max_position_embeddings=base.longest,
        type_vocab_size=getattr(teacher, "type_vocab_size", None) or 1,
        pad_token_id=teacher.pad_token_id,
        id2label=teacher.id2label,
        label2id=teacher.label2id,
        problem_type=teacher.problem_type,
    )


def leave_out_tokens(mask: torch.Tensor) -> torch.Tensor:
    """Return an attention mask `[batch, tokens]` without some of its tokens, so that no answer hangs on a single word.

    Since positions say nothing, a text whose token is masked is the text without it.
    """
    stays = torch.rand(mask.shape, device=mask.device) >= LEFT_OUT
    stays[:, 0] = True
    return mask * stays
