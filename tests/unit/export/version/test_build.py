"""What cannot be exported is refused in one line; what can comes out in every precision and answers as PyTorch does."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from google.protobuf import text_format
from transformers import RobertaConfig, RobertaForSequenceClassification
from tritonclient.grpc import model_config_pb2
from typer.testing import CliRunner

from export import ExportError
from export.__main__ import app
from export.checkpoint.load import load_checkpoint
from export.graph.build import check_graph
from export.parity.measure import violations
from repository.config import ModelConfig
from repository.manifest import MODEL_FILE, Evaluation, Manifest, Parity, Precision, ProblemType
from repository.tolerances import TOLERANCES, Provider
from tests.tiny_models import write_classifier, write_encoder

LABELS = ["Business", "Education", "Life"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("checkpoint") / "classifier", LABELS)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sentences") / "sentences.txt"
    words = [
        "learn",
        "spanish",
        "budget",
        "plan",
        "doctor",
        "family",
        "market",
        "school",
        "lesson",
        "recipe",
        "trip",
        "invoice",
    ]
    rows = [" ".join(words[(i * k) % len(words)] for k in range(1, 2 + i % 9)) for i in range(60)]
    path.write_text("\n".join(rows))
    return path


def export(checkpoint: Path, output: Path, sentences: Path, precision: str) -> Manifest:
    options = ["--output", str(output), "--data", str(sentences), "--precision", precision]
    result = CliRunner().invoke(app, [str(checkpoint), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Manifest.read(output)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_precision_comes_out_without_a_gpu(
    checkpoint: Path, sentences: Path, tmp_path: Path, precision: str
) -> None:
    manifest = export(checkpoint, tmp_path / "version", sentences, precision)
    manifest.verify_files(tmp_path / "version")
    assert manifest.precision == precision
    assert manifest.labels == LABELS
    assert manifest.max_length == 64
    assert manifest.problem_type is ProblemType.SINGLE_LABEL
    graph = onnx.load(tmp_path / "version" / MODEL_FILE).graph
    assert [tensor.name for tensor in graph.output] == ["logits"]
    assert graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert {tensor.name for tensor in graph.input} == {"input_ids", "attention_mask"}


def test_every_path_may_be_relative(
    checkpoint: Path, sentences: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(checkpoint, tmp_path / "checkpoint")
    shutil.copy(sentences, tmp_path / "sentences.txt")
    monkeypatch.chdir(tmp_path)
    export(Path("checkpoint"), Path("exports/version"), Path("sentences.txt"), "int8")
    assert sorted(path.name for path in Path("exports").iterdir()) == ["version"]


def test_attention_layer_norm_and_gelu_are_fused(checkpoint: Path, sentences: Path, tmp_path: Path) -> None:
    export(checkpoint, tmp_path / "version", sentences, "fp32")
    operators = [node.op_type for node in onnx.load(tmp_path / "version" / MODEL_FILE).graph.node]
    assert operators.count("Attention") == 2
    assert operators.count("LayerNormalization") == 4  # one operator, for CPUs not fused with the sum before it
    assert not {"ReduceMean", "Sqrt", "Erf"} & set(operators)
    assert operators.count("BiasGelu") == 2


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
@pytest.mark.parametrize("length", [1, 2, 8, 13, 64])
def test_any_batch_and_length_answers_as_pytorch_does(version: Path, checkpoint: Path, batch: int, length: int) -> None:
    generator = np.random.default_rng(batch * 100 + length)
    ids = generator.integers(1000, 30000, (batch, length))
    mask = np.ones_like(ids)
    mask[1:, (length + 1) // 2 :] = 0
    session = onnxruntime.InferenceSession(version / MODEL_FILE)
    logits = session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
    model = load_checkpoint(str(checkpoint)).model
    with torch.inference_mode():
        expected = model(input_ids=torch.tensor(ids), attention_mask=torch.tensor(mask)).logits.numpy()
    assert np.abs(logits - expected).max() < 1e-4


@pytest.fixture(scope="module")
def version(checkpoint: Path, sentences: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("version") / "fp32"
    export(checkpoint, folder, sentences, "fp32")
    return folder


def test_the_graph_is_what_the_config_promises_in_names_types_and_ranks(version: Path) -> None:
    message = text_format.Parse(ModelConfig("classifier").to_pbtxt(), model_config_pb2.ModelConfig())
    graph = onnx.load(version / MODEL_FILE).graph
    for promised, given in ((message.input, graph.input), (message.output, graph.output)):
        shapes = {tensor.name: tensor.type.tensor_type for tensor in given}
        assert {entry.name for entry in promised} == set(shapes)
        for entry in promised:
            kind = {model_config_pb2.TYPE_INT64: onnx.TensorProto.INT64, model_config_pb2.TYPE_FP32: 1}[entry.data_type]
            assert shapes[entry.name].elem_type == kind
            axes = shapes[entry.name].shape.dim
            assert len(axes) == 1 + len(entry.dims), "the batch is not among the config's dims"
            assert axes[0].dim_param
            assert list(entry.dims) == [-1]


@pytest.mark.parametrize("fault", ["fixed batch", "fixed length", "another type", "no logits"])
def test_a_graph_that_the_config_does_not_fit_is_refused(version: Path, tmp_path: Path, fault: str) -> None:
    model = onnx.load(version / MODEL_FILE)
    ids, output = model.graph.input[0], model.graph.output[0]
    match fault:
        case "fixed batch":
            output.type.tensor_type.shape.dim[0].dim_value = 2
        case "fixed length":
            ids.type.tensor_type.shape.dim[1].dim_value = 16
        case "another type":
            ids.type.tensor_type.elem_type = onnx.TensorProto.INT32
        case "no logits":
            output.name = "scores"
    onnx.save(model, tmp_path / MODEL_FILE)
    named = {"another type": "must be INT64", "no logits": "'logits' are needed"}.get(fault, "an axis is fixed")
    with pytest.raises(ExportError, match=named):
        check_graph(tmp_path / MODEL_FILE)


def test_the_same_checkpoint_gives_the_same_file(
    version: Path, checkpoint: Path, sentences: Path, tmp_path: Path
) -> None:
    again = export(checkpoint, tmp_path / "again", sentences, "fp32")
    assert again.files == Manifest.read(version).files


def test_an_encoder_without_a_head_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is no sequence classifier \\(BertModel\\)"):
        load_checkpoint(str(write_encoder(tmp_path / "encoder")))


def test_a_head_that_was_never_trained_is_refused(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))
    with pytest.raises(ExportError, match="lacks weights"):
        load_checkpoint(str(folder))


@pytest.mark.parametrize("damage", ["no weights", "cut weights", "no config", "no folder", "bad config"])
def test_a_damaged_checkpoint_is_refused_in_one_line(checkpoint: Path, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "damaged"
    shutil.copytree(checkpoint, folder)
    weights = folder / "model.safetensors"
    match damage:
        case "no weights":
            weights.unlink()
        case "cut weights":
            weights.write_bytes(weights.read_bytes()[:1000])
        case "no config":
            (folder / "config.json").unlink()
        case "no folder":
            shutil.rmtree(folder)
        case "bad config":
            (folder / "config.json").write_text("{")
    with pytest.raises(ExportError) as caught:
        load_checkpoint(str(folder))
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_not_read(checkpoint: Path, tmp_path: Path) -> None:
    folder = tmp_path / "pickled"
    shutil.copytree(checkpoint, folder)
    model = load_checkpoint(str(checkpoint)).model
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    with pytest.raises(ExportError, match="safetensors"):
        load_checkpoint(str(folder))


def test_an_output_folder_that_holds_something_else_is_not_overwritten(
    checkpoint: Path, sentences: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ExportError, match="is no version folder"):
        export(checkpoint, tmp_path, sentences, "fp32")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_roberta_takes_two_tokens_fewer_than_it_has_positions(checkpoint: Path, tmp_path: Path) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 64}
    config = RobertaConfig(vocab_size=30522, max_position_embeddings=66, **sizes)
    RobertaForSequenceClassification(config).save_pretrained(tmp_path / "roberta")
    for path in checkpoint.glob("*token*"):
        shutil.copy(path, tmp_path / "roberta")
    assert load_checkpoint(str(tmp_path / "roberta")).max_length == 64


@pytest.mark.parametrize(
    ("labels", "changes", "expected"),
    [
        (["a", "b"], {}, ProblemType.SINGLE_LABEL),
        (["a", "b"], {"problem_type": "multi_label_classification"}, ProblemType.MULTI_LABEL),
        (["a"], {}, ProblemType.MULTI_LABEL),  # the pipeline takes a sigmoid of a single output
        (["a"], {"problem_type": "regression"}, ProblemType.REGRESSION),
    ],
)
def test_scores_follow_the_problem_type_as_in_the_pipeline(
    tmp_path: Path, labels: list[str], changes: dict[str, str], expected: ProblemType
) -> None:
    assert load_checkpoint(str(write_classifier(tmp_path / "c", labels, **changes))).problem_type is expected


def parity(**changes: float) -> Parity:
    right = {
        "sentences": 100,
        "max_logit_difference": 0.0,
        "max_probability_difference": 0.0,
        "label_agreement": 1.0,
        "decided_label_agreement": 1.0,
        "padded_label_flips": 0,
        "max_padded_probability_difference": 0.0,
    }
    return Parity.model_construct(**{**right, **changes})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"max_logit_difference": 0.01}, "0.01, 0.001 allowed"),
        ({"max_logit_difference": float("nan")}, "nan"),
        ({"decided_label_agreement": 0.99}, "99.00%"),
        ({"padded_label_flips": 1}, "1 labels change"),
    ],
)
def test_a_graph_outside_its_tolerance_is_named_with_the_number(changes: dict[str, float], named: str) -> None:
    assert violations(parity(), None, TOLERANCES[Provider.CPU, Precision.FP32]) == []
    (found,) = violations(parity(**changes), None, TOLERANCES[Provider.CPU, Precision.FP32])
    assert named in found


def test_a_fall_of_macro_f1_is_a_violation() -> None:
    evaluation = Evaluation(sentences=9, accuracy=0.8, macro_f1=0.7, checkpoint_accuracy=0.8, checkpoint_macro_f1=0.8)
    (found,) = violations(parity(), evaluation, TOLERANCES[Provider.CPU, Precision.INT8])
    assert "macro-F1 falls by 0.1000" in found
