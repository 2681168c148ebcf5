"""A checkpoint with the one file that SentencePiece wrote, as on the hub, is converted and answers as the pipeline."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from export import ExportError
from export.checkpoint.load import load_checkpoint
from pretrained.tokenizer import load_fast_tokenizer
from tests.tiny_architectures import tiny_config
from tests.tiny_models import spread_weights
from tests.tiny_tokenizers import write_sentencepiece
from tests.unit.export.checkpoint.test_pairs import TEXTS, export
from tests.unit.export.checkpoint.test_token_types import difference

CORPUS = ["learn a language", "cook in the garden", "Mapa aprende un nuevo lenguaje", "Stühle bauen", *TEXTS]


@pytest.mark.parametrize("model_type", ["deberta-v2", "camembert", "llama"])
def test_a_checkpoint_with_a_sentencepiece_file_alone_answers_as_the_pipeline(model_type: str, tmp_path: Path) -> None:
    folder = tmp_path / "c"
    write_sentencepiece(folder, model_type, CORPUS)
    tiny_config(model_type).save_pretrained(folder)
    size = len(load_fast_tokenizer(folder))
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(tiny_config(model_type, vocab_size=size))
    with torch.no_grad():
        spread_weights(model)
    model.save_pretrained(folder)
    assert not (folder / "tokenizer.json").exists()
    version = export(folder, tmp_path / "version", texts=CORPUS)
    assert difference(folder, version, [*CORPUS, "日本語 😀"]) < 1e-4


def test_a_vocabulary_that_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    AutoModelForSequenceClassification.from_config(tiny_config("llama")).save_pretrained(folder)
    (folder / "tokenizer.model").write_text("IQ== 0\nIg== 1\n")  # tiktoken's, as Llama 3's original files have it
    with pytest.raises(ExportError, match="the tokenizer cannot be loaded") as caught:
        load_checkpoint(str(folder))
    assert "\n" not in str(caught.value)
