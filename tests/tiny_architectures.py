"""A tiny configuration of every architecture that is supported; windows of attention are shorter than the limit."""

from typing import Any

import transformers

from tests.tiny_models import BOS, EOS, PAD, VOCABULARY

LIMIT = 40

SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": LIMIT,
    "num_labels": 3,
    "pad_token_id": PAD,
    "bos_token_id": BOS,
    "eos_token_id": EOS,
}
# Positions are numbered from the padding id + 1, so the table holds one more than the limit.
FROM_PADDING = {"max_position_embeddings": LIMIT + PAD + 1}
DISENTANGLED = {
    "relative_attention": True,
    "pos_att_type": ["c2p", "p2c"],
    "position_biased_input": False,
    "type_vocab_size": 0,
}
GROUPED = {"num_key_value_heads": 2}
SMALL_HEADS = {**GROUPED, "head_dim": 8}
ENCODER_DECODER = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 64,
    "decoder_ffn_dim": 64,
    "decoder_start_token_id": EOS,
}
# What each architecture needs beyond SIZES; windows of attention are shorter than the limit.
PARTICULARS: dict[str, dict[str, Any]] = {
    "albert": {"embedding_size": 16},
    "bart": ENCODER_DECODER,
    "bert": {},
    "bloom": {"n_layer": 2, "n_head": 4, "seq_length": LIMIT},
    "camembert": FROM_PADDING,
    "data2vec-text": FROM_PADDING,
    "deberta": DISENTANGLED,
    "deberta-v2": {**DISENTANGLED, "position_buckets": 8, "norm_rel_ebd": "layer_norm", "share_att_key": True},
    "distilbert": {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64},
    "electra": {"embedding_size": 16},
    "ernie": {},
    "gemma": SMALL_HEADS,
    "gemma2": {**SMALL_HEADS, "sliding_window": 8},
    "gemma3_text": {
        **SMALL_HEADS,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
    },
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": LIMIT},
    "gpt_neox": {},
    "llama": GROUPED,
    "mbart": ENCODER_DECODER,
    "megatron-bert": {},
    "mistral": {**GROUPED, "sliding_window": 8},
    "modernbert": {"local_attention": 8, "global_attn_every_n_layers": 2, "cls_token_id": BOS, "sep_token_id": EOS},
    "mpnet": {"max_position_embeddings": LIMIT + 2},
    "opt": {"ffn_dim": 64, "word_embed_proj_dim": 32},
    "qwen2": GROUPED,
    "qwen3": SMALL_HEADS,
    "rembert": {"input_embedding_size": 16},
    "roberta": FROM_PADDING,
    "roberta-prelayernorm": FROM_PADDING,
    "roformer": {"embedding_size": 32},
    "squeezebert": {"embedding_size": 32},
    "xlm-roberta": FROM_PADDING,
    "xlm-roberta-xl": FROM_PADDING,
}
# MPNet's padding id is 1 in its code, whatever the configuration says.
PADDING = {"mpnet": 1}


def tiny_config(model_type: str, **changes: object) -> Any:
    own = PARTICULARS[model_type]
    alike = {} if "n_embd" in own or "n_layers" in own else SIZES
    common = {name: SIZES[name] for name in ("vocab_size", "max_position_embeddings", "num_labels", "pad_token_id")}
    ends = {"bos_token_id": BOS, "eos_token_id": EOS}
    padding = {"pad_token_id": PADDING.get(model_type, PAD)}
    settings = {**(common if "n_embd" not in own else {"vocab_size": VOCABULARY, "num_labels": 3}), **ends, **alike}
    return transformers.AutoConfig.for_model(model_type, **{**settings, **padding, **own, **changes})
