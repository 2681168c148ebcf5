"""Every architecture that is said to export gives a graph that answers as PyTorch does, for any batch and padding."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
import torch
import transformers
from transformers import AutoModelForSequenceClassification

from export import ExportError
from export.checkpoint.load import Checkpoint, load_checkpoint
from export.graph.build import check_graph, export_graph, optimize_graph
from pretrained.architectures import ARCHITECTURES, Head
from repository.inference import mask_of, pad_batch
from tests.tiny_architectures import LIMIT, PARTICULARS, tiny_config
from tests.tiny_models import BOS, EOS, SPECIAL, VOCABULARY, word_tokenizer, write_any_classifier

LENGTHS = (1, 2, 8, 13, LIMIT)
BATCHES = (1, 2, 3, 7)

Answer = npt.NDArray[np.float32]


class Exported:
    """A tiny checkpoint, its graph as the version holds it, and transformers' own model of the same files."""

    def __init__(self, folder: Path, config: Any, **tokenizer: object) -> None:
        files = write_any_classifier(folder / "checkpoint", config, word_tokenizer(model_max_length=LIMIT, **tokenizer))
        self.checkpoint: Checkpoint = load_checkpoint(str(files))
        self.tokenizer = self.checkpoint.tokenizer.backend_tokenizer
        self.graph = folder / "model.onnx"
        raw = export_graph(self.checkpoint, folder)
        optimize_graph(raw, self.checkpoint.model.config).save_model_to_file(str(self.graph))
        check_graph(self.graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(self.graph, options, providers=["CPUExecutionProvider"])
        self.original = AutoModelForSequenceClassification.from_pretrained(files).eval()

    def alone(self, ids: list[int]) -> Answer:
        """PyTorch's logits `[labels]` for one sentence, by transformers' own forward, fed as the pipeline feeds it."""
        inputs = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids)).long()}
        if "token_type_ids" in self.checkpoint.tokenizer.model_input_names:
            inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
        with torch.inference_mode():
            answer = self.original(**inputs)
        return answer.logits[0].numpy()

    def batch(self, rows: list[list[int]], filler: int, length: int) -> Answer:
        """The graph's logits `[batch, labels]` for rows padded right to one length."""
        ids = np.full((len(rows), length), filler, dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, sentence in enumerate(rows):
            ids[row, : len(sentence)] = sentence
            mask[row, : len(sentence)] = 1
        return self.session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]

    def distance(self, rows: list[list[int]], filler: int | None = None) -> float:
        """Largest difference between the graph's rows in a batch and PyTorch's answers for each alone."""
        filler = self.checkpoint.pad_token_id if filler is None else filler
        expected = np.stack([self.alone(row) for row in rows])
        return float(np.abs(self.batch(rows, filler, max(map(len, rows))) - expected).max())


def sentence(generator: np.random.Generator, length: int) -> list[int]:
    """Random words between `<s>` and `</s>`, `length` tokens with them."""
    words = generator.integers(len(SPECIAL), VOCABULARY, max(length - 2, 0)).tolist()
    return [BOS, *words, EOS][-length:]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost more than they give at this size."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp(request.param), tiny_config(request.param))


def test_any_batch_and_length_answers_as_pytorch_does_for_each_sentence_alone(exported: Exported) -> None:
    generator = np.random.default_rng(0)
    for batch in BATCHES:
        for length in LENGTHS:
            lengths = [length] + [1 + (length - 1) // (row + 1) for row in range(1, batch)]
            rows = [sentence(generator, one) for one in lengths]
            assert exported.distance(rows) < 1e-4, (batch, length)


def test_the_logits_differ_from_sentence_to_sentence(exported: Exported) -> None:
    """Else the comparison with PyTorch would say nothing."""
    generator = np.random.default_rng(1)
    answers = np.stack([exported.alone(sentence(generator, 8)) for _ in range(8)])
    assert answers.std(axis=0).max() > 1e-2


def test_a_pair_answers_as_pytorch_does_which_tells_its_two_texts_apart(exported: Exported) -> None:
    pairs = [("word3 word4 word5", "word6 word7"), ("word8", "word9 word3 word4 word11")]
    token_types = exported.checkpoint.token_types
    encodings = [exported.tokenizer.encode(*pair) for pair in pairs]
    masks = [mask_of(encoding, token_types) for encoding in encodings]
    assert [mask is not None for mask in masks] == [token_types] * len(pairs)
    expected = []
    for pair in pairs:
        encoded = exported.checkpoint.tokenizer(*pair, return_tensors="pt", return_token_type_ids=token_types)
        with torch.inference_mode():
            expected.append(exported.original(**encoded).logits[0].numpy())
    inputs = pad_batch([encoding.ids for encoding in encodings], exported.checkpoint.pad_token_id, masks=masks)
    assert np.abs(exported.session.run(["logits"], inputs)[0] - np.stack(expected)).max() < 1e-4


def test_the_models_with_a_vector_for_the_second_text_are_known(exported: Exported) -> None:
    config = exported.original.config
    table = next((m for n, m in exported.original.named_modules() if n.endswith("token_type_embeddings")), None)
    # GPT-2 looks token types up among its words.
    known = config.model_type == "gpt2" or (table is not None and table.num_embeddings > 1)
    assert exported.checkpoint.token_types == known, config.model_type


def test_what_fills_the_padding_does_not_matter(exported: Exported) -> None:
    generator = np.random.default_rng(2)
    rows = [sentence(generator, length) for length in (12, 5, 2)]
    assert exported.distance(rows, filler=VOCABULARY - 1) < 1e-4


def test_the_usable_length_is_the_tokenizers_and_the_positions(exported: Exported) -> None:
    assert exported.checkpoint.max_length == LIMIT


def test_every_architecture_said_to_export_is_tested() -> None:
    assert set(PARTICULARS) == set(ARCHITECTURES)


def test_attention_is_fused_where_the_table_says_so_and_nowhere_else(exported: Exported) -> None:
    operators = {node.op_type for node in onnx.load(exported.graph).graph.node}
    model_type = exported.checkpoint.model.config.model_type
    assert ("Attention" in operators) == ARCHITECTURES[model_type].fuses_attention


@pytest.mark.parametrize("model_type", ["bert", "bart", "gpt2", "modernbert"])
def test_a_second_export_gives_the_same_bytes(model_type: str, tmp_path: Path) -> None:
    graphs = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        graphs.append(Exported(tmp_path / name, tiny_config(model_type)).graph.read_bytes())
    assert graphs[0] == graphs[1]


@pytest.mark.parametrize("model_type", ["gpt2", "qwen2", "qwen3", "gemma3_text"])
def test_a_decoder_without_a_padding_token_answers_in_a_batch_as_alone(model_type: str, tmp_path: Path) -> None:
    model = Exported(tmp_path, tiny_config(model_type, pad_token_id=None), pad_token=None)
    generator = np.random.default_rng(3)
    # The tokenizer ends every sentence with </s>, so that is not what fills the rows.
    assert model.checkpoint.pad_token_id != EOS
    assert model.distance([sentence(generator, length) for length in (9, 4, 1)]) < 1e-4


@pytest.mark.parametrize("model_type", ["gpt2", "qwen2"])
def test_a_decoder_that_pads_with_its_end_token_answers_in_a_batch_as_alone(model_type: str, tmp_path: Path) -> None:
    model = Exported(tmp_path, tiny_config(model_type, pad_token_id=EOS), pad_token="</s>")
    generator = np.random.default_rng(4)
    rows = [sentence(generator, 9), sentence(generator, 4), [*sentence(generator, 5), EOS, EOS]]
    assert model.distance(rows) < 1e-4


@pytest.mark.parametrize("model_type", ["bart", "mbart"])
def test_an_end_token_inside_a_text_changes_nothing_for_its_neighbours(model_type: str, tmp_path: Path) -> None:
    """transformers' own BART refuses such a batch; traced, its graph mixes the rows."""
    model = Exported(tmp_path, tiny_config(model_type))
    rows = [[BOS, 9, EOS, 10, 11, EOS], [BOS, 12, EOS], [BOS, 13, 14, 15, EOS]]
    assert model.distance(rows) < 1e-4


@pytest.mark.parametrize("model_type", ["longformer", "convbert", "fnet"])
def test_an_architecture_that_cannot_be_exported_is_named_with_those_that_can(model_type: str, tmp_path: Path) -> None:
    config = transformers.AutoConfig.for_model(model_type)
    config.architectures = [f"{model_type}ForSequenceClassification"]
    config.save_pretrained(tmp_path)
    with pytest.raises(ExportError, match=f"architecture {model_type} cannot be exported; these can: albert, bart"):
        load_checkpoint(str(tmp_path))


def test_every_kind_of_head_is_among_the_architectures() -> None:
    assert {known.head for known in ARCHITECTURES.values()} == set(Head)
