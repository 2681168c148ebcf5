"""A trimmed vocabulary splits a text as before wherever its pieces are kept, and knows each character as before."""

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from tests.places import ROOT
from tests.tiny_pipeline import run, write_maps, write_tiny_base
from training.__main__ import app
from training.encoders.base_model import BaseModel, read_base_model
from training.encoders.vocabulary import trimmed
from training.fit.train import load_classifier
from training.settings import Settings

SIB200 = ROOT.parent / "shared" / "data" / "sib200"
LANGUAGES = ("deu_Latn", "eng_Latn", "fra_Latn", "por_Latn", "spa_Latn")
UNICODE = [
    range(0x20, 0x250),
    range(0x370, 0x1400),
    range(0x1E00, 0x3100),
    range(0x3400, 0xD7A4),
    range(0xE000, 0x1FAFF),
]


@pytest.fixture(scope="module")
def whole() -> BaseModel:
    return read_base_model(None)


@pytest.fixture(scope="module")
def small(whole: BaseModel) -> BaseModel:
    return trimmed(whole, ["Mapa: aprende un nuevo lenguaje"], "trimmed", pieces=50_000)


def compare(whole: BaseModel, small: BaseModel, texts: list[str]) -> int:
    """Hold what a trimmed vocabulary promises for each text; return how many are split as before."""
    assert small.rows is not None
    rows, kept = small.rows, set(small.rows)
    before, after = whole.tokenizer.backend_tokenizer, small.tokenizer.backend_tokenizer
    unknown = (whole.tokenizer.unk_token_id, small.tokenizer.unk_token_id)
    same = 0
    for text, old, new in zip(texts, before.encode_batch(texts), after.encode_batch(texts), strict=True):
        as_rows = [rows[token] for token in new.ids]
        if kept.issuperset(old.ids):
            assert as_rows == old.ids, text
            same += 1
        assert unknown_characters(new, unknown[1]) == unknown_characters(old, unknown[0]), text
        assert new.ids.count(unknown[1]) <= old.ids.count(unknown[0]), text
    return same


def unknown_characters(encoding: Any, unknown: int) -> set[int]:
    found = zip(encoding.ids, encoding.offsets, strict=True)
    return {place for token, (start, end) in found if token == unknown for place in range(start, end)}


def test_texts_of_random_characters_become_no_more_unknown(whole: BaseModel, small: BaseModel) -> None:
    drawn = random.Random(0)
    texts = [
        "".join(chr(drawn.choice(drawn.choice(UNICODE))) if drawn.random() < 0.8 else " " for _ in range(length))
        for length in range(1, 40)
        for _ in range(20)
    ]
    compare(whole, small, texts)


@pytest.mark.skipif(not SIB200.is_dir(), reason="../shared/data/sib200 is not there")
@pytest.mark.parametrize("language", LANGUAGES)
def test_sentences_of_five_languages_are_split_as_before_or_into_known_pieces(
    language: str, whole: BaseModel, small: BaseModel
) -> None:
    texts = []
    for path in sorted(SIB200.glob(f"{language}.*.tsv")):
        with path.open(encoding="utf-8", newline="") as stream:
            texts += [row["text"] for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE)]
    compare(whole, small, texts)
    ids = whole.tokenizer(texts)["input_ids"], small.tokenizer(texts)["input_ids"]
    assert all(len(new) >= len(old) for old, new in zip(*ids, strict=True))


def test_what_was_trained_on_is_split_as_before(whole: BaseModel, small: BaseModel) -> None:
    assert compare(whole, small, ["Mapa: aprende un nuevo lenguaje", "aprende", "lenguaje nuevo"]) == 3
    assert small.rows is not None
    assert len(small.rows) == 50_000
    assert len(small.tokenizer) == 50_000


def test_special_tokens_keep_their_part(whole: BaseModel, small: BaseModel) -> None:
    assert small.rows is not None
    assert small.tokenizer.special_tokens_map == whole.tokenizer.special_tokens_map
    for token in whole.tokenizer.all_special_tokens:
        found = small.tokenizer.convert_tokens_to_ids(token)
        assert small.rows[found] == whole.tokenizer.convert_tokens_to_ids(token)
    assert small.tokenizer("a", "b")["input_ids"][0] == small.tokenizer.cls_token_id


def test_a_vocabulary_is_left_alone_unless_asked(tmp_path: Path) -> None:
    base = read_base_model(str(write_tiny_base("xlm-roberta", tmp_path / "base")))
    assert Settings().vocabulary == "all"
    assert trimmed(base, ["learn"], "all") is base


@pytest.mark.parametrize("model_type", ["albert", "camembert", "mbart", "xlm-roberta"])
def test_a_trimmed_model_answers_as_the_whole_one(model_type: str, tmp_path: Path) -> None:
    """Each numbers its special tokens in another way; mBART shares one table among three modules."""
    base = read_base_model(str(write_tiny_base(model_type, tmp_path / "base")))
    fitted = trimmed(base, ["learn a language", "bake new bread"], "trimmed", pieces=60)
    assert fitted.rows is not None
    assert len(fitted.rows) < base.config.vocab_size
    texts = ["learn a language", "bread", "new", "bake a language", "learn a language " * 20]
    logits = []
    for each in (base, fitted):
        torch.manual_seed(0)
        model = load_classifier(each, ["a", "b", "c"]).eval()
        assert model.config.vocab_size == model.get_input_embeddings().num_embeddings
        batch = each.tokenizer(texts, padding=True, truncation=True, max_length=each.longest, return_tensors="pt")
        with torch.inference_mode():
            logits.append(model(**batch).logits)
    torch.testing.assert_close(*logits, rtol=0, atol=1e-5)


def test_a_vocabulary_that_cannot_be_trimmed_is_refused_in_one_line(tmp_path: Path) -> None:
    base, data = write_tiny_base("bert", tmp_path / "base"), write_maps(tmp_path / "maps.csv")
    given = ["--data", str(data), "--base-model", str(base), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*given, "--vocabulary", "trimmed"])
    assert done.exit_code == 2, done.output
    assert "WordPiece" in done.stderr
    assert "leave the option out, or give all" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_checkpoint_of_a_trimmed_vocabulary_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.encoders.vocabulary.PIECES", 60)
    whole = write_tiny_base("xlm-roberta", tmp_path / "base")
    given = ["--data", str(write_maps(tmp_path / "maps.csv")), "--base-model", str(whole), "--max-steps", "3"]
    checkpoint = tmp_path / "checkpoint"
    run(app, *given, "--no-baseline", "--vocabulary", "trimmed", "--output", str(checkpoint))
    config = json.loads((checkpoint / "config.json").read_bytes())
    state = json.loads((checkpoint / "tokenizer.json").read_bytes())
    assert config["vocab_size"] == len(state["model"]["vocab"])
    assert config["vocab_size"] < json.loads((whole / "config.json").read_bytes())["vocab_size"]
    assert not list(checkpoint.glob("*.model"))
    assert read_base_model(str(checkpoint)).tokenizer.pad_token_id == config["pad_token_id"]
