"""A base with a SentencePiece file alone is read where its class can be found out, and else refused with what to do."""

import json
from pathlib import Path

import pytest

from tests.tiny_architectures import tiny_config
from tests.tiny_models import WORDS
from tests.tiny_tokenizers import write_sentencepiece
from training.encoders.base_folder import BaseModelError
from training.encoders.base_model import read_base_model


@pytest.mark.parametrize(("model_type", "class_name"), [("xlm-roberta", None), ("bert", "XLMRobertaTokenizer")])
def test_a_sentencepiece_file_is_read_by_the_architecture_s_class_or_the_one_that_is_named(
    model_type: str, class_name: str | None, tmp_path: Path
) -> None:
    write_sentencepiece(tmp_path, "xlm-roberta", WORDS)
    tiny_config(model_type, vocab_size=2000).save_pretrained(tmp_path)
    if class_name is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": class_name}))
    assert not (tmp_path / "tokenizer.json").exists()
    tokenizer = read_base_model(str(tmp_path)).tokenizer
    assert tokenizer.decode(tokenizer("word7 word42")["input_ids"], skip_special_tokens=True) == "word7 word42"


def test_a_sentencepiece_file_under_a_name_that_its_class_does_not_read_is_said_so(tmp_path: Path) -> None:
    write_sentencepiece(tmp_path, "deberta-v2", WORDS)
    tiny_config("bert").save_pretrained(tmp_path)
    with pytest.raises(
        BaseModelError, match=r"spm\.model cannot be converted .* must name the tokenizer_class"
    ) as found:
        read_base_model(str(tmp_path))
    assert "\n" not in str(found.value)
