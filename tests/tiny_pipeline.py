"""From a tiny random base of any architecture to a checkpoint and a version, by the commands that a user gives."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from export.__main__ import app as export_app
from pretrained.tokenizer import load_fast_tokenizer
from tests.tiny_architectures import tiny_config
from tests.tiny_models import VOCABULARY, spread_weights, word_tokenizer
from tests.tiny_tokenizers import (
    SENTENCEPIECE,
    write_byte_level_bpe,
    write_sentencepiece,
    write_word_pieces,
)
from training.__main__ import app as training_app

CLASSES = {"Education": "learn teach study", "Food": "cook bake taste", "Work": "plan meet build"}
TOPICS = ("a language", "the garden", "new bread", "machines", "music", "Stühle")
SENTENCES = [
    "learn a language",
    "cook",
    "Mapa aprende un nuevo lenguaje",
    "word42 word7 word13",
    "plan machines and music and " + "bread " * 60,
    "日本語 😀",
    "STÜHLE bauen, heute!",
]
# Which architectures are tried with which tokenizer; the others with a plain one of whole words, which gives
# token_type_ids to all of them.
BPE = {"bart": True, "data2vec-text": True, "deberta": True, "modernbert": True, "roberta": True, "qwen2": False}
BPE |= {"qwen3": False, "gpt_neox": False, "roberta-prelayernorm": True}
WORD_PIECES = ("bert", "electra", "ernie", "megatron-bert", "mpnet", "squeezebert")


def write_maps(path: Path, long_word: str = "") -> Path:
    """Twelve maps of three classes; some of the ideas with one word 60 times more, past what tiny models take."""
    rows = ["map_id,map_title,map_category_name,idea_title"]
    for label, verbs in CLASSES.items():
        for number in range(4):
            for verb in verbs.split():
                idea = f"{verb} {TOPICS[(number + len(verb)) % len(TOPICS)]} word{number}"
                tail = " music" * 60 if number == 1 else ""
                rows.append(f"{label}-{number},{label} {TOPICS[number]} word{number},{label},{idea}{tail}{long_word}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def write_tiny_base(model_type: str, folder: Path) -> Path:
    """A body with random weights and the kind of tokenizer that its architecture has on the hub."""
    corpus = [
        *SENTENCES,
        *(f"{verb} {topic}" for verbs in CLASSES.values() for verb in verbs.split() for topic in TOPICS),
    ]
    if model_type in SENTENCEPIECE:
        write_sentencepiece(folder, model_type, corpus)
    elif model_type in BPE:
        write_byte_level_bpe(folder, corpus, framed=BPE[model_type])
    elif model_type in WORD_PIECES:
        write_word_pieces(folder, corpus)
    else:
        word_tokenizer().save_pretrained(folder)
    config = tiny_config(model_type)
    config.save_pretrained(folder)  # some tokenizers are found by it
    tokenizer = load_fast_tokenizer(folder)
    size = max(VOCABULARY, len(tokenizer))
    special = {
        name: value
        for name in ("bos_token_id", "eos_token_id", "pad_token_id", "cls_token_id", "sep_token_id")
        if (value := getattr(tokenizer, name)) is not None
    }
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(tiny_config(model_type, vocab_size=size, **special))
    with torch.no_grad():
        spread_weights(model)
    model.base_model.save_pretrained(folder)
    return folder


def train_tiny_base(model_type: str, folder: Path) -> Path:
    """`folder/checkpoint`, trained three steps on a base of that architecture."""
    torch.set_num_threads(1)
    base = write_tiny_base(model_type, folder / "base")
    data, output = write_maps(folder / "maps.csv"), folder / "checkpoint"
    # A rate at which three steps move the answers apart.
    options = ["--max-steps", "3", "--learning-rate", "0.01", "--no-baseline"]
    run(training_app, "--data", str(data), "--base-model", str(base), "--output", str(output), *options)
    return output


def export_checkpoint(checkpoint: Path, output: Path, *options: str) -> None:
    """A version folder, compared on and calibrated by real sentences."""
    data = output.parent / "sentences.txt"
    texts = [f"{verb} {topic}" for verbs in CLASSES.values() for verb in verbs.split() for topic in TOPICS]
    data.write_text("\n".join([*SENTENCES, *texts]), encoding="utf-8")
    run(export_app, "export", str(checkpoint), "--output", str(output), "--data", str(data), *options)


def run(app: object, *arguments: str) -> None:
    """One of the commands, in this process."""
    done = CliRunner().invoke(app, list(arguments), catch_exceptions=False)  # type: ignore[arg-type]
    assert done.exit_code == 0, done.output
