"""How long a sequence may be: what a model's table of positions and its tokenizer allow, and what is served of it."""

from typing import Any

from pretrained.architectures import architecture_of

# transformers writes about 1e30 where a tokenizer has no limit of its own.
NO_LIMIT = 1_000_000
# Of a model that names no limit of its own (relative or rotary positions).
UNSTATED_MAX_LENGTH = 512
# Unless another is asked for. Attention's scores take heads x length x length x 4 bytes for one text, in each layer by
# turns: with twelve heads 0.2 GB at 2048 tokens, 3.2 GB at 8192, 52 GB at 32768; and Triton computes several at once.
DEFAULT_MAX_LENGTH = 2048


def own_max_length(config: Any, tokenizer: Any) -> int | None:
    """The longest sequence that both the table of positions and the tokenizer allow, in tokens, if they say.

    Args:
        config: the model's, with the padding id that it was made with: RoBERTa and its kin number positions from that
            id + 1, so that the first ones are never used.
        tokenizer: its own.
    """
    limits = []
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        limits.append(positions - architecture_of(config).first_position(config.pad_token_id))
    if 0 < tokenizer.model_max_length < NO_LIMIT:
        limits.append(tokenizer.model_max_length)
    return int(min(limits)) if limits else None


def usual_max_length(own: int | None) -> int:
    """The longest sequence that is evaluated and served unless another is asked for, in tokens."""
    return min(own or UNSTATED_MAX_LENGTH, DEFAULT_MAX_LENGTH)
