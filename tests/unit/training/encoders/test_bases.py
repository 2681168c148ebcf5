"""Training refuses, before it begins, a base that could not be served; trains what is listed; stops if it fails."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import transformers
from click.testing import Result
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import PreTrainedTokenizerFast
from typer.testing import CliRunner

from export.checkpoint.load import load_checkpoint
from tests.places import ROOT
from tests.tiny_architectures import tiny_config
from tests.tiny_models import WORDS, word_tokenizer, write_any_classifier
from tests.tiny_pipeline import write_maps
from tests.word_checkpoints import edit, tiny_bert, write
from training.__main__ import app


def train(folder: Path, base: Path, *options: str) -> Result:
    data = write_maps(folder / "maps.csv")
    given = ["--data", str(data), "--base-model", str(base), "--output", str(folder / "out"), "--max-steps", "3"]
    return CliRunner().invoke(app, [*given, "--no-baseline", *options])


def assert_refused(done: Result, folder: Path, expected: str) -> None:
    assert done.exit_code == 2, done.output
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (folder / "out").exists()


@pytest.mark.parametrize("model_type", ["xlnet", "longformer", "convbert", "big_bird", "t5", "fnet"])
def test_a_base_that_could_never_be_served_is_refused_before_training(model_type: str, tmp_path: Path) -> None:
    transformers.AutoConfig.for_model(model_type).save_pretrained(tmp_path / "base")
    done = train(tmp_path, tmp_path / "base")
    assert_refused(done, tmp_path, f"the architecture {model_type} cannot be exported; these can: albert, bart")


QUANTIZED = {
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True},
    "bitsandbytes, 8bit": {"load_in_8bit": True},
    "gptq": {"quant_method": "gptq", "bits": 4},
    "awq": {"quant_method": "awq", "bits": 4},
    "compressed-tensors": {"quant_method": "compressed-tensors", "config_groups": {}},
    "fp8": {"quant_method": "fp8"},
}


@pytest.mark.parametrize("method", QUANTIZED)
def test_quantized_weights_are_refused_by_name_as_base_and_as_checkpoint(method: str, tmp_path: Path) -> None:
    base = write(tmp_path / "base")
    edit(base / "config.json", quantization_config=QUANTIZED[method])
    expected = f"has quantized weights ({method}), which are not read: give the model that it was made from"
    assert_refused(train(tmp_path, base), tmp_path, expected)
    with pytest.raises(Exception, match="has quantized weights") as caught:
        load_checkpoint(str(base))
    assert expected in str(caught.value)


def test_quantized_weights_are_refused_where_only_their_names_tell(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    base = write(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    name = "bert.encoder.layer.0.attention.self.query.weight"
    weights[f"{name.removesuffix('.weight')}.qweight"] = weights.pop(name).to(torch.int32)
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    assert_refused(train(tmp_path, base), tmp_path, "has quantized weights (gptq or awq)")


def nameless_tokenizer() -> PreTrainedTokenizerFast:
    """Words and nothing else: no token is named as special, no limit, no frame, token types for everyone."""
    words = Tokenizer(WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token=WORDS[0]))
    words.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=words)


@pytest.mark.parametrize("model_type", ["bert", "gpt2", "llama", "mpnet", "roberta-prelayernorm", "data2vec-text"])
def test_a_tokenizer_that_names_no_special_token_and_no_limit_is_trained_with(model_type: str, tmp_path: Path) -> None:
    config = tiny_config(model_type)
    if model_type in ("gpt2", "llama"):
        config.pad_token_id = None
    base = write_any_classifier(tmp_path / "base", config, nameless_tokenizer())
    done = train(tmp_path, base)
    assert done.exit_code == 0, done.output
    checkpoint = load_checkpoint(str(tmp_path / "out"))
    assert checkpoint.max_length == 40
    if model_type in ("gpt2", "llama"):  # a word that fills rows could end a sentence too
        assert checkpoint.pad_token_id == len(WORDS)


def test_an_encoder_decoder_whose_tokenizer_ends_no_sentence_is_refused(tmp_path: Path) -> None:
    base = write_any_classifier(tmp_path / "base", tiny_config("bart"), nameless_tokenizer())
    assert_refused(train(tmp_path, base), tmp_path, "its classifier reads the end token (eos_token_id 2)")


@pytest.mark.parametrize("model_type", ["bart", "mbart"])
def test_ideas_that_hold_an_end_token_are_trained_on_beside_others(model_type: str, tmp_path: Path) -> None:
    base = write_any_classifier(tmp_path / "base", tiny_config(model_type), word_tokenizer())
    rows = write_maps(tmp_path / "maps.csv").read_text(encoding="utf-8").splitlines()
    held = [f"{row} </s> word7" if number % 3 == 0 else row for number, row in enumerate(rows)]
    (tmp_path / "maps.csv").write_text("\n".join([rows[0], *held[1:]]), encoding="utf-8")
    options = ["--output", tmp_path / "out", "--max-steps", "3", "--no-baseline"]
    done = CliRunner().invoke(app, ["--data", *map(str, (tmp_path / "maps.csv", "--base-model", base, *options))])
    assert done.exit_code == 0, (done.output, done.exception)


def test_training_that_diverges_stops_and_leaves_no_checkpoint(tmp_path: Path) -> None:
    done = train(tmp_path, write(tmp_path / "base"), "--learning-rate", "1e30")
    assert_refused(done, tmp_path, "training diverged")
    assert "give a lower --learning-rate than 1e+30" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base", "maps.csv"]


def test_the_base_s_configuration_is_not_changed_by_loading_it(tmp_path: Path) -> None:
    from training.encoders.base_model import read_base_model
    from training.fit.train import load_classifier

    base = read_base_model(str(write(tmp_path / "base")))
    before = base.config.to_dict()
    load_classifier(base, ["a", "b"])
    assert base.config.to_dict() == before


def test_a_large_vocabulary_brings_no_warning_of_a_faulty_pattern(tmp_path: Path) -> None:
    vocabulary = {f"word{number}": number for number in range(100_001)}
    words = Tokenizer(WordLevel(vocabulary, unk_token="word0"))
    words.pre_tokenizer = WhitespaceSplit()
    base = tmp_path / "base"
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, pad_token="word1", unk_token="word0")
    write_any_classifier(base, tiny_bert(vocab_size=len(vocabulary), hidden_size=4, num_attention_heads=1), tokenizer)
    edit(base / "config.json", transformers_version=None)
    code = "import sys; from pretrained.tokenizer import load_fast_tokenizer as l; from pathlib import Path; "
    code += "t = l(Path(sys.argv[1])); t.save_pretrained(sys.argv[2])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(base), str(tmp_path / "saved")], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "fix_mistral_regex" not in json.loads((tmp_path / "saved" / "tokenizer_config.json").read_text())


LONG_IDEAS = """
import sys
from training.__main__ import app
try:
    app(sys.argv[1:])
finally:
    # Of this program alone: what getrusage tells begins at what the process that started it held.
    peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(1024 * int(peak), file=sys.stderr)
"""


def test_long_ideas_do_not_take_memory_by_their_length(tmp_path: Path) -> None:
    """Cut at what is served, 2048 tokens, and in batches by their area: padded to 8,192 positions they took 7.4 GB."""
    tokenizer = word_tokenizer()
    base = write_any_classifier(tmp_path / "base", tiny_bert(max_position_embeddings=8192), tokenizer)
    rows = ["map_id,map_title,map_category_name,idea_title"]
    for label in ("A", "B"):
        for number in range(12):
            idea = "word7 " * 20_000 if number % 4 == 0 else "word8 word9"
            rows.append(f"{label}{number},word{number} {label},{label},{idea}")
    (tmp_path / "maps.csv").write_text("\n".join(rows) + "\n")
    options = ["--data", tmp_path / "maps.csv", "--base-model", base, "--output", tmp_path / "out", "--no-baseline"]
    done = subprocess.run(
        [sys.executable, "-c", LONG_IDEAS, *map(str, options), "--epochs", "1"],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stderr.split()[-1]) < 1.5e9
    assert json.loads((tmp_path / "out" / "training_report.json").read_text())["sequence_limit"] == 2048
