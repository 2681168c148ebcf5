"""Which architectures are supported, from training to serving, and what is particular about each of them.

Training asks this table before it begins, export before it loads. Every entry is held by tests: a tiny base of it is
trained, exported and served, and its graph answers as PyTorch does for any batch, length and padding.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pretrained import CheckpointError


class Head(StrEnum):
    """Where a classifier takes its sentence's vector from."""

    POOLED = "pooled"
    """The first token, or a mean over the attention mask: padding has no part in it."""
    LAST_TOKEN = "last token"
    """The rightmost token that is not the padding token, in decoder-only models."""
    LAST_EOS = "last end-of-sentence token"
    """The rightmost end-of-sentence token, in encoder-decoder models."""


@dataclass(frozen=True)
class Architecture:
    """What export has to know of a `model_type`.

    Attributes:
        head: where the classifier takes its vector from.
        fuses_attention: onnxruntime.transformers' attention and embedding fusions give a right graph for it.
        counts_from_padding: positions are numbered from the padding id + 1, so the first of the table are never used.
        fixed_padding: the padding id that is written in its code, whatever the configuration says.
    """

    head: Head = Head.POOLED
    fuses_attention: bool = False
    counts_from_padding: bool = False
    fixed_padding: int | None = None

    def first_position(self, pad_token_id: int | None) -> int:
        """The place in the table of positions that a sentence's first token takes."""
        if not self.counts_from_padding:
            return 0
        counted_from = pad_token_id if self.fixed_padding is None else self.fixed_padding
        return (1 if counted_from is None else counted_from) + 1


_ENCODER = Architecture(fuses_attention=True)
_ROBERTA = Architecture(fuses_attention=True, counts_from_padding=True)
_OTHER_ENCODER = Architecture()
_DECODER = Architecture(head=Head.LAST_TOKEN)
_ENCODER_DECODER = Architecture(head=Head.LAST_EOS)

ARCHITECTURES = {
    "albert": _ENCODER,
    "bart": _ENCODER_DECODER,
    "bert": _ENCODER,
    "bloom": _DECODER,
    "camembert": _ROBERTA,
    "data2vec-text": _ROBERTA,
    "deberta": _OTHER_ENCODER,
    "deberta-v2": _OTHER_ENCODER,
    "distilbert": _ENCODER,
    "electra": _ENCODER,
    "ernie": _OTHER_ENCODER,
    "gemma": _DECODER,
    "gemma2": _DECODER,
    "gemma3_text": _DECODER,
    "gpt2": _DECODER,
    "gpt_neox": _DECODER,
    "llama": _DECODER,
    "mbart": _ENCODER_DECODER,
    "megatron-bert": _OTHER_ENCODER,
    "mistral": _DECODER,
    "modernbert": _OTHER_ENCODER,
    "mpnet": Architecture(counts_from_padding=True, fixed_padding=1),
    "opt": _DECODER,
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "rembert": _ENCODER,
    "roberta": _ROBERTA,
    "roberta-prelayernorm": Architecture(counts_from_padding=True),
    "roformer": _OTHER_ENCODER,
    "squeezebert": _OTHER_ENCODER,
    "xlm-roberta": _ROBERTA,
    "xlm-roberta-xl": Architecture(counts_from_padding=True),
}
# A model of remote code: no fusion beyond LayerNorm and GELU, and the parity check has the last word.
REMOTE = Architecture()


def architecture_of(config: Any) -> Architecture:
    """What is known of the configuration's `model_type`; a model that brings its own code gets the least."""
    return ARCHITECTURES.get(config.model_type, REMOTE)


def require_known(source: str, model_type: str | None) -> None:
    """Refuse an architecture that is not known to train, export and answer right.

    Raises:
        CheckpointError: `model_type` is not among ARCHITECTURES.
    """
    if model_type not in ARCHITECTURES:
        raise CheckpointError(
            f"{source}: the architecture {model_type or 'without a model_type'} cannot be exported; these can: "
            f"{', '.join(sorted(ARCHITECTURES))}"
        )
