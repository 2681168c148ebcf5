"""A version answers as `transformers.pipeline` does with the checkpoint's own tokenizer, whatever that gives."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import GPT2Config, pipeline

from export import ExportError
from export.checkpoint.load import load_checkpoint
from export.parity.measure import reference_answers
from repository.inference import load_tokenizer, mask_of, pad_batch, scores
from repository.manifest import MODEL_FILE, Manifest
from tests.tiny_models import BOS, EOS, PAD, VOCABULARY, word_tokenizer, write_any_classifier
from tests.unit.export.checkpoint.test_pairs import TEXTS, export
from tests.word_checkpoints import LIMIT, tiny_bert

SPECIAL = [("<s>", BOS), ("</s>", EOS)]


def tiny_gpt2(**changes: object) -> GPT2Config:
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": LIMIT, "vocab_size": VOCABULARY, "num_labels": 3}
    return GPT2Config(**{**sizes, "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS, **changes})


def write(folder: Path, config: Any, single: str, pair: str, **settings: object) -> Path:
    """A classifier whose tokenizer marks tokens by these templates."""
    tokenizer = word_tokenizer(**settings)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=single, pair=pair, special_tokens=SPECIAL)
    return write_any_classifier(folder, config, tokenizer)


FRAME = "<s> $A </s> $B:1 </s>:1"
CASES = {
    "GPT-2, all of type 0": (tiny_gpt2(), "<s> $A </s>", "<s> $A </s> $B </s>"),
    "GPT-2, the second text of type 1": (tiny_gpt2(), "<s> $A </s>", FRAME),
    "GPT-2, the words of type 1": (tiny_gpt2(), "<s> $A:1 </s>", "<s> $A:1 </s> $B:1 </s>"),
    "GPT-2 without a padding token": (tiny_gpt2(pad_token_id=None), "$A", "$A $B:1"),
    "BERT, the words of type 1": (tiny_bert(), "<s> $A:1 </s>", "<s> $A:1 </s> $B:1 </s>"),
    "BERT, every token of type 1": (tiny_bert(), "<s>:1 $A:1 </s>:1", "<s>:1 $A:1 </s>:1 $B:1 </s>:1"),
    "BERT, all of type 0": (tiny_bert(), "<s> $A </s>", "<s> $A </s> $B </s>"),
    "BERT without token types": (tiny_bert(type_vocab_size=1), "<s> $A </s>", "<s> $A </s> $B </s>"),
}


def difference(checkpoint: Path, version: Path, texts: list[str]) -> float:
    """Largest difference of a probability between the version, all texts in one batch, and the pipeline."""
    manifest = Manifest.read(version)
    encodings = load_tokenizer(version, manifest.max_length).encode_batch(texts)
    masks = [mask_of(encoding, manifest.token_types) for encoding in encodings]
    inputs = pad_batch([encoding.ids for encoding in encodings], manifest.pad_token_id, masks=masks)
    session = onnxruntime.InferenceSession(version / MODEL_FILE, providers=["CPUExecutionProvider"])
    found = scores(session.run(None, inputs)[0], manifest.problem_type)
    ask = pipeline("text-classification", model=str(checkpoint), top_k=None, device="cpu")
    largest = 0.0
    for text, row in zip(texts, found, strict=True):
        answer = ask({"text": text}, truncation=True, max_length=manifest.max_length)
        right = {item["label"]: item["score"] for item in answer}
        largest = max(largest, float(np.abs(row - [right[label] for label in manifest.labels]).max()))
    return largest


@pytest.mark.parametrize("case", CASES)
def test_what_the_tokenizer_gives_and_the_model_reads_is_in_the_graph(case: str, tmp_path: Path) -> None:
    config, single, pair = CASES[case]
    checkpoint = write(tmp_path / "c", config, single, pair)
    version = export(checkpoint, tmp_path / "version")
    assert difference(checkpoint, version, TEXTS) < 1e-4


@pytest.mark.parametrize("last", ["</s>", "<unk>", "<pad>"])
def test_a_decoder_without_a_padding_token_reads_the_last_token_whichever_it_is(last: str, tmp_path: Path) -> None:
    checkpoint = write(tmp_path / "c", tiny_gpt2(pad_token_id=None), "$A", "$A $B")
    version = export(checkpoint, tmp_path / "version")
    assert difference(checkpoint, version, [f"word1 word2 {last}", "word3 word4 word5 word6"]) < 1e-4


@pytest.mark.parametrize("config", [tiny_gpt2(), tiny_bert(type_vocab_size=3)], ids=["gpt2", "bert"])
def test_token_types_that_no_mask_can_tell_are_refused(config: Any, tmp_path: Path) -> None:
    checkpoint = write(tmp_path / "c", config, "<s> $A:2 </s>", "<s> $A:2 </s> $B </s>")
    with pytest.raises(ExportError, match="marks tokens of a text with token type 2, which the model reads"):
        load_checkpoint(str(checkpoint))


def test_an_export_that_does_not_answer_as_the_pipeline_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from export.checkpoint import load as loading
    from export.checkpoint.token_types import TokenTypes

    source = write(tmp_path / "c", tiny_gpt2(), "<s> $A </s>", FRAME)
    monkeypatch.setattr(loading, "token_types_of", lambda *_: TokenTypes())  # as if nothing were given
    with pytest.raises(ExportError, match="transformers' pipeline answers otherwise than the model does"):
        reference_answers(load_checkpoint(str(source)), TEXTS, None, lambda _: None)


def test_a_sentence_that_gives_no_token_is_left_out_of_what_is_compared(tmp_path: Path) -> None:
    checkpoint = write(tmp_path / "c", tiny_bert(), "$A", "$A $B:1")
    loaded = load_checkpoint(str(checkpoint))
    reference = reference_answers(loaded, ["word1 word2", "\u200b \u3000", "", "word3"], ["a", "b", "c", "d"], print)
    assert len(loaded.tokenizer("")["input_ids"]) == 0
    assert [sentence for sentence in reference.sentences if not sentence.strip()] == []
    assert reference.truth is not None
    assert (reference.sentences[0], reference.truth[0]) == ("word1 word2", "a")
    assert len(reference.logits) == len(reference.sentences) == len(reference.truth)
    with pytest.raises(ExportError, match="makes no token of any sentence to compare on"):
        reference_answers(loaded, ["", " "], None, print)
