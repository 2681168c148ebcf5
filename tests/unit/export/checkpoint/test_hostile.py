"""Broken and hostile checkpoints are refused in one line that names the file, and nothing half-written stays."""

import json
import pickle
import shutil
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.checkpoint.load import load_checkpoint
from tests.tiny_models import word_tokenizer, write_any_classifier
from tests.word_checkpoints import edit, tiny_bert

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
RAN = "the pickle ran"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_any_classifier(tmp_path_factory.mktemp("whole") / "classifier", tiny_bert(), word_tokenizer())


@pytest.fixture
def checkpoint(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "classifier"))


class Trap:
    """Unpickled, it would create a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.write_text, (self.path, RAN)


def cut_weights(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def cut_header(folder: Path) -> None:
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:20])


def empty_weights(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"")


def huge_header(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", 2**60) + b"{}")


def pickle_as_safetensors(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(pickle.dumps(Trap(folder / "trapped")))


def torch_pickle_as_safetensors(folder: Path) -> None:
    torch.save({"weight": torch.zeros(2)}, folder / WEIGHTS)


def pickle_in_place_of_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Trap(folder / "trapped")))


def setfit_head(folder: Path) -> None:
    edit(folder / "config.json", architectures=["BertModel"])
    (folder / "model_head.pkl").write_bytes(pickle.dumps(Trap(folder / "trapped")))


def linked_weights(folder: Path) -> None:
    outside = folder.parent / "outside.safetensors"
    shutil.move(folder / WEIGHTS, outside)
    (folder / WEIGHTS).symlink_to(outside)


def linked_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to("/etc/passwd")


def tokenizer_no_json(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


def tokenizer_no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model": {"type": "Oracle"}}')


def tokenizer_of_bytes(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(b"\xff\xfe\x00")


def config_list(folder: Path) -> None:
    (folder / "config.json").write_text("[1, 2]")


def config_nested_too_deep(folder: Path) -> None:
    (folder / "config.json").write_text("[" * 100_000)


def tokenizer_settings_list(folder: Path) -> None:
    (folder / "tokenizer_config.json").write_text("[]")


def not_a_number(folder: Path) -> None:
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    model.classifier.bias.data.fill_(float("nan"))
    model.save_pretrained(folder)


def own_code(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoConfig": "configuration_own.OwnConfig"})
    (folder / "configuration_own.py").write_text(f"open({str(folder / 'trapped')!r}, 'w').close()")


def own_tokenizer_code(folder: Path) -> None:
    edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["tokenization_own.Own", None]})
    (folder / "tokenization_own.py").write_text(f"open({str(folder / 'trapped')!r}, 'w').close()")


def unknown_architecture(folder: Path) -> None:
    edit(folder / "config.json", model_type="oracle")


def no_architecture(folder: Path) -> None:
    edit(folder / "config.json", model_type=None)


def index_into_another_folder(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder.parent / "stolen.safetensors")
    (folder / INDEX).write_text(json.dumps({"weight_map": {"classifier.weight": "../stolen.safetensors"}}))


def index_of_missing_shards(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": {"classifier.weight": "model-00001-of-00002.safetensors"}}))


def index_without_map(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(json.dumps({"weight_map": [1]}))


DAMAGES: dict[Callable[[Path], None], str] = {
    cut_weights: "model.safetensors is cut off or corrupt",
    cut_header: "model.safetensors is cut off or corrupt",
    empty_weights: "model.safetensors is cut off or corrupt",
    huge_header: "model.safetensors is cut off or corrupt",
    pickle_as_safetensors: "is a pickle under the name of safetensors",
    torch_pickle_as_safetensors: "is a pickle under the name of safetensors",
    pickle_in_place_of_weights: "has its weights in a pickle only",
    setfit_head: "is a SetFit model: its head is a pickle (model_head.pkl)",
    linked_weights: "model.safetensors is a link out of the checkpoint",
    linked_tokenizer: "tokenizer.json is a link out of the checkpoint",
    tokenizer_no_json: "tokenizer.json cannot be read as JSON",
    tokenizer_no_tokenizer: "tokenizer.json is no tokenizer",
    tokenizer_of_bytes: "tokenizer.json cannot be read as JSON",
    config_list: "config.json must hold a JSON object, not list",
    config_nested_too_deep: "config.json cannot be read as JSON",
    tokenizer_settings_list: "tokenizer_config.json must hold a JSON object",
    not_a_number: "the model answers NaN",
    own_code: "give --trust-remote-code",
    own_tokenizer_code: "give --trust-remote-code",
    unknown_architecture: "the architecture oracle cannot be exported; these can: albert",
    no_architecture: "the architecture without a model_type cannot be exported",
    index_into_another_folder: "names '../stolen.safetensors'",
    index_of_missing_shards: "model-00001-of-00002.safetensors, which is missing",
    index_without_map: "has no weight_map",
}


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_broken_checkpoint_is_refused_in_one_line_and_runs_no_code(
    checkpoint: Path, damage: Callable[[Path], None]
) -> None:
    damage(checkpoint)
    with pytest.raises(ExportError) as caught:
        load_checkpoint(str(checkpoint))
    assert DAMAGES[damage] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 700
    assert not (checkpoint / "trapped").exists()


def test_a_checkpoint_in_the_hubs_cache_may_link_to_its_own_blobs(whole: Path, tmp_path: Path) -> None:
    model = tmp_path / "models--someone--classifier"
    snapshot = model / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    shutil.copytree(whole, model / "blobs")
    for path in (model / "blobs").iterdir():
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    assert len(load_checkpoint(str(snapshot)).labels) == 3
    stranger = tmp_path / "models--someone--else" / "blobs"
    stranger.mkdir(parents=True)
    shutil.move(model / "blobs" / WEIGHTS, stranger / WEIGHTS)
    (snapshot / WEIGHTS).unlink()
    (snapshot / WEIGHTS).symlink_to(stranger / WEIGHTS)
    with pytest.raises(ExportError, match="is a link out of the checkpoint"):
        load_checkpoint(str(snapshot))


def test_a_checkpoint_folder_may_itself_be_a_link(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(whole)
    assert load_checkpoint(str(tmp_path / "latest")).name == whole.name


def test_what_a_refused_export_began_to_write_is_gone(checkpoint: Path, tmp_path: Path) -> None:
    not_a_number(checkpoint)
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("word1 word2")
    before = sorted(tmp_path.rglob("*"))
    result = CliRunner().invoke(app, [str(checkpoint), "--output", str(tmp_path / "version"), "--data", str(sentences)])
    assert isinstance(result.exception, ExportError)
    assert sorted(tmp_path.rglob("*")) == before


def test_code_that_is_trusted_by_name_runs(checkpoint: Path) -> None:
    edit(checkpoint / "config.json", auto_map={"AutoConfig": "configuration_own.OwnConfig"}, model_type="own-bert")
    (checkpoint / "configuration_own.py").write_text(
        "from transformers import BertConfig\n\n\nclass OwnConfig(BertConfig):\n    model_type = 'own-bert'\n"
    )
    # The configuration is its own, the model is not: transformers finds no class for it, having read the code.
    with pytest.raises(ExportError, match=r"Unrecognized configuration class .*OwnConfig"):
        load_checkpoint(str(checkpoint), trust_remote_code=True)
