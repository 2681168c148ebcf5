"""Tiny tokenizers of the kinds that architectures have, in the files they lie in on the hub."""

import json
from collections.abc import Sequence
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

# The pieces that each of these has at the start of its .model file; XLM-R and CamemBERT keep theirs in code.
_CLS_SEP = {"pad_id": 0, "pad_piece": "[PAD]", "bos_id": 1, "bos_piece": "[CLS]", "eos_id": 2, "eos_piece": "[SEP]"}
_DEBERTA = {**_CLS_SEP, "unk_id": 3, "unk_piece": "[UNK]"}
_ALBERT = {
    "pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]"],
    "user_defined_symbols": ["[MASK]"],
}  # fmt: skip
_REMBERT = {**_CLS_SEP, "unk_id": 3, "user_defined_symbols": ["[MASK]"]}
_FAIRSEQ = {"unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1}
_LLAMA = {"model_type": "bpe", "unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": -1, "byte_fallback": True}
_GEMMA = {**_LLAMA, "pad_id": 0, "eos_id": 1, "bos_id": 2, "unk_id": 3}
SENTENCEPIECE = {
    "albert": ("spiece.model", _ALBERT),
    "camembert": ("sentencepiece.bpe.model", _FAIRSEQ),
    "deberta-v2": ("spm.model", _DEBERTA),
    "gemma": ("tokenizer.model", _GEMMA),
    "gemma2": ("tokenizer.model", _GEMMA),
    "gemma3_text": ("tokenizer.model", _GEMMA),
    "llama": ("tokenizer.model", _LLAMA),
    "mbart": ("sentencepiece.bpe.model", _FAIRSEQ),
    "mistral": ("tokenizer.model", _LLAMA),
    "rembert": ("sentencepiece.model", _REMBERT),
    "xlm-roberta": ("sentencepiece.bpe.model", _FAIRSEQ),
    "xlm-roberta-xl": ("sentencepiece.bpe.model", _FAIRSEQ),
}


def write_sentencepiece(folder: Path, model_type: str, corpus: Sequence[str], **settings: object) -> None:
    """The one file that SentencePiece wrote, and no tokenizer.json."""
    name, special = SENTENCEPIECE[model_type]
    folder.mkdir(parents=True, exist_ok=True)
    options = {"model_type": "unigram", "vocab_size": 500 if "byte_fallback" in special else 120, **special, **settings}
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus), model_prefix=str(folder / "trained"), hard_vocab_limit=False,
        minloglevel=2, **options,
    )  # fmt: skip
    (folder / "trained.model").rename(folder / name)
    (folder / "trained.vocab").unlink()


def write_byte_level_bpe(folder: Path, corpus: Sequence[str], framed: bool = True) -> None:
    """As RoBERTa's (framed by `<s>` and `</s>`) or GPT-2's."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"] if framed else ["<|endoftext|>"]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        corpus, trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    )
    if framed:
        bpe.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
        names = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
        names |= {"cls_token": "<s>", "sep_token": "</s>", "mask_token": "<mask>"}
    else:
        names = {"bos_token": special[0], "eos_token": special[0]}
    PreTrainedTokenizerFast(tokenizer_object=bpe, **names).save_pretrained(folder)


def write_word_pieces(folder: Path, corpus: Sequence[str]) -> None:
    """As BERT's: one file, vocab.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    pieces.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces.train_from_iterator(corpus, trainers.WordPieceTrainer(vocab_size=150, special_tokens=special))
    vocabulary = pieces.get_vocab()
    (folder / "vocab.txt").write_text("\n".join(sorted(vocabulary, key=vocabulary.__getitem__)))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"}))
