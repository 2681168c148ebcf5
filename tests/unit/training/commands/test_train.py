"""`python -m training` writes a checkpoint any Hugging Face tool loads, whole or not at all, or says what is wrong.

The base model is a BERT of two small layers with random weights, made here: a run takes seconds.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tests.places import ROOT as REPOSITORY
from tests.waiting import wait_until
from training.__main__ import app
from training.data.load import load_split

transformers = pytest.importorskip("transformers")

from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers  # noqa: E402

DATA = REPOSITORY / "data" / "public_maps.csv"
SENTENCE = "Mapa aprende un nuevo lenguaje"


@pytest.fixture(scope="module")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "tiny-bert"
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer.train([str(DATA)], trainers.WordPieceTrainer(vocab_size=600, limit_alphabet=150, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(token, tokenizer.token_to_id(token)) for token in special[2:]]
    )
    # As the packaged encoder's file has it, which would cut and pad each sentence that is served.
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(length=16)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.model_max_length = 96
    fast.save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        pad_token_id=0,
    )
    transformers.BertModel(config).save_pretrained(folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode_mean_tokens": true}')
    return folder


def training(*options: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, options)))


@pytest.fixture(scope="module")
def checkpoint(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("run") / "classifier"
    # In float32 an epoch's figures are those of the finished checkpoint; in bfloat16 they are near them.
    options = ["--max-steps", "3", "--no-baseline", "--mixed-precision", "off"]
    done = training("--base-model", tiny_base, "--output", output, *options)
    assert done.exit_code == 0, done.stderr
    assert "On maps never seen" in done.stdout
    assert list(output.parent.iterdir()) == [output], "something is left beside the checkpoint"
    return output


def test_a_pipeline_loads_the_checkpoint_and_answers_a_label(checkpoint: Path) -> None:
    answer = transformers.pipeline("text-classification", model=str(checkpoint))(SENTENCE)
    report = json.loads((checkpoint / "training_report.json").read_text())
    assert answer[0]["label"] in report["labels"]
    assert report["labels"] == sorted(report["labels"])


def test_the_figures_are_those_of_the_checkpoint_sentence_by_sentence(checkpoint: Path) -> None:
    report = json.loads((checkpoint / "training_report.json").read_text())
    pipeline = transformers.pipeline("text-classification", model=str(checkpoint))
    for split in ("validation", "test"):
        sentences, labels = load_split(DATA, split)
        answered = [answer["label"] for answer in pipeline(sentences, batch_size=64)]
        right = sum(one == other for one, other in zip(answered, labels, strict=True))
        assert report[split]["accuracy"] == pytest.approx(right / len(labels), abs=1e-4)
    assert report["epochs"][-1]["macro_f1"] == pytest.approx(report["validation"]["macro_f1"], abs=1e-4)


def test_the_checkpoint_holds_safetensors_and_labels_in_order(checkpoint: Path) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    assert list(config["id2label"].values()) == sorted(config["label2id"])
    assert (checkpoint / "model.safetensors").is_file()
    assert not list(checkpoint.glob("*.bin"))


def test_the_saved_tokenizer_neither_cuts_nor_pads(checkpoint: Path) -> None:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    assert (tokenizer.truncation, tokenizer.padding) == (None, None)
    assert json.loads((checkpoint / "tokenizer_config.json").read_text())["model_max_length"] == 96


def test_the_report_says_what_was_done_and_how_well(checkpoint: Path) -> None:
    report = json.loads((checkpoint / "training_report.json").read_text())
    assert report["data"]["splits"]["test"]["examples"] == report["test"]["support"]
    assert {"accuracy", "macro_f1", "per_class", "per_language", "confusion_matrix"} <= set(report["test"])
    assert report["baseline"] is None
    assert (report["settings"]["max_steps"], report["sequence_limit"]) == (3, 96)
    assert len(report["data"]["sha256"]) == 64


def test_the_first_token_of_a_sentence_encoder_begins_as_the_mean_of_all(tiny_base: Path) -> None:
    import torch

    from training.encoders.base_model import read_base_model
    from training.fit.train import load_classifier

    base = read_base_model(str(tiny_base))
    encoder = transformers.BertModel.from_pretrained(tiny_base).eval()
    model = load_classifier(base, ["a", "b"]).eval()
    tokens = torch.tensor([[2, 5, 6, 7, 3], [2, 8, 3, 0, 0]])
    mask = (tokens > 0).long()
    with torch.no_grad():
        hidden = encoder(tokens, attention_mask=mask)[0]
        mean = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        first = model.bert(tokens, attention_mask=mask)[0][:, 0]
    assert torch.nn.functional.cosine_similarity(first, mean).min() > 0.97


# --- what is wrong is said in one line -----------------------------------------------------------------------------


def assert_refused(done: Result, expected: str) -> None:
    assert done.exit_code == 2
    assert expected in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr


def test_a_bad_file_is_refused_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "maps.csv").write_text("map_id,map_title,idea_title\n1,a,b\n")
    done = training("--data", tmp_path / "maps.csv", "--output", tmp_path / "out")
    assert_refused(done, "row 1, the header, lacks the column map_category_name")
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_or_someone_elses_folder_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert_refused(training("--base-model", tiny_base, "--output", tmp_path / "file"), "is a file; name a folder")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("")
    assert_refused(training("--base-model", tiny_base, "--output", tmp_path / "photos"), "holds other things")
    assert (tmp_path / "photos" / "a.jpg").exists()


@pytest.mark.parametrize(
    ("name", "expected"),
    [("./none", "there is no such folder"), (str(REPOSITORY / "data"), "a folder without a config.json")],
)
def test_a_base_model_that_is_none_is_refused(tmp_path: Path, name: str, expected: str) -> None:
    assert_refused(training("--base-model", name, "--output", tmp_path / "out"), expected)


def test_a_hub_that_cannot_be_reached_asks_for_a_local_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "training", "--base-model", "no-such-owner/no-such-model", "--output"]
    done = subprocess.run(
        [*command, str(tmp_path / "out")],
        cwd=REPOSITORY,
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert "give a local folder" in done.stderr


def test_a_sentence_longer_than_the_model_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    done = training("--base-model", tiny_base, "--output", tmp_path / "out", "--max-length", "500")
    assert_refused(done, "--max-length 500 is more than")


# --- whole or nothing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_the_older_checkpoint_and_says_how_to_go_on(
    checkpoint: Path, tiny_base: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    output = tmp_path / "classifier"
    output.mkdir()
    for file in checkpoint.iterdir():
        (output / file.name).write_bytes(file.read_bytes())
    before = {file.name: file.stat().st_mtime_ns for file in output.iterdir()}
    command = [sys.executable, "-m", "training", "--base-model", str(tiny_base), "--output", str(output)]
    running = subprocess.Popen(
        [*command, "--epochs", "500", "--patience", "500"], cwd=REPOSITORY, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: list(tmp_path.glob(".classifier.training/run-*/trainer")), 75, "training has begun")
    os.kill(running.pid, sent)
    _, stderr = running.communicate(timeout=300)
    assert running.returncode == 130
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("Interrupted: nothing was written")
    assert "--resume goes on from epoch" in last
    assert "Traceback" not in stderr
    assert sorted(tmp_path.iterdir()) == [tmp_path / ".classifier.training", output]
    assert len(list(tmp_path.glob(".classifier.training/run-*/trainer/checkpoint-*"))) <= 2
    assert {file.name: file.stat().st_mtime_ns for file in output.iterdir()} == before


def test_a_newer_checkpoint_takes_the_place_of_the_older(tmp_path: Path) -> None:
    from training.commands.output import check_output, whole_or_nothing

    output = tmp_path / "classifier"
    for content in ("old", "new"):
        check_output(output)
        with whole_or_nothing(output) as work:
            (work / "checkpoint" / "training_report.json").write_text(content)
    assert (output / "training_report.json").read_text() == "new"
    assert list(tmp_path.iterdir()) == [output]
