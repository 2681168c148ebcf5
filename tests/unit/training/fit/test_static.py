"""A student of static embeddings: what its vectors begin as, which of them are trained, and what it makes of a text."""

from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from tests.tiny_architectures import tiny_config  # noqa: E402
from tests.tiny_models import BOS, EOS, PAD, word_tokenizer  # noqa: E402
from tests.unit.training.fit.test_lesson import ONE_STACK, model_of  # noqa: E402
from training.fit.layers import LayersError  # noqa: E402
from training.fit.static import (  # noqa: E402
    TokenVectors,
    check_vectors,
    leave_out_tokens,
    static_student,
    token_vectors,
    used_tokens,
)

USED = [3, 9, 23]


def table(rows: int = 40, width: int = 4) -> Any:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(0))


def test_only_tokens_that_texts_have_are_trained() -> None:
    vectors = table()
    words = TokenVectors(vectors, USED)
    ids = torch.tensor([[3, 4, 23], [23, 9, 5]])
    assert torch.equal(words(ids), vectors[ids])
    words(ids).sum().backward()
    assert words.weight.grad.sum(dim=1).tolist() == [4, 4, 8]  # as often as each occurs, in each of four channels
    with torch.no_grad():
        words.weight += 1
    whole = words.whole(PAD).weight
    assert torch.equal(whole[USED], vectors[USED] + 1)
    others = [token for token in range(40) if token not in USED]
    assert torch.equal(whole[others], vectors[others])


@pytest.mark.parametrize("model_type", ONE_STACK)
def test_a_vector_is_what_the_last_layer_gives_for_a_token_between_those_of_an_empty_text(model_type: str) -> None:
    teacher, tokenizer = model_of(model_type, 2), word_tokenizer()
    check_vectors("t", teacher, tokenizer)
    told: list[int] = []
    found = token_vectors("t", teacher, tokenizer, None, told.append)
    assert sum(told) == len(found) == teacher.get_input_embeddings().weight.shape[0]
    with torch.inference_mode():
        for token in USED:
            ids = torch.tensor([[BOS, token, EOS]])
            hidden = teacher.base_model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
            torch.testing.assert_close(found[token], hidden[0, 1], atol=1e-5, rtol=1e-4)


def test_a_model_of_two_kinds_of_layers_is_refused() -> None:
    with pytest.raises(LayersError, match="bart is an encoder and a decoder"):
        check_vectors("bart", model_of("bart", 2), word_tokenizer())


def test_its_beginning_averages_the_tokens_of_a_text_in_any_order() -> None:
    torch.manual_seed(0)
    config = tiny_config("bert")
    base: Any = SimpleNamespace(longest=32)
    model = static_student(config, base, table(config.vocab_size, 24), USED, seed=0).eval()
    words = model.bert.embeddings.word_embeddings.weight
    torch.testing.assert_close(words.mean(dim=0), torch.zeros(24), atol=1e-5, rtol=0)
    torch.testing.assert_close(words.std(dim=0, correction=0), torch.ones(24))
    with torch.inference_mode():
        one, other, shorter = (
            model(input_ids=torch.tensor([ids])).logits
            for ids in ([BOS, 5, 9, 7, EOS], [BOS, 7, 5, 9, EOS], [BOS, 5, 9, EOS])
        )
    torch.testing.assert_close(one, other)
    assert (one - shorter).abs().max() > 1e-4
    assert (model.config.num_hidden_layers, model.config.hidden_size) == (1, 24)
    assert model.config.max_position_embeddings == 32
    assert model.config.id2label == config.id2label


def test_a_text_loses_tokens_by_chance_but_never_its_first() -> None:
    torch.manual_seed(0)
    mask = torch.ones(40, 50, dtype=torch.long)
    mask[:, 40:] = 0
    found = leave_out_tokens(mask)
    assert found.dtype == mask.dtype
    assert found[:, 0].all()
    assert not found[:, 40:].any()
    assert 0.87 < float(found[:, :40].float().mean()) < 0.93
    assert len(set(found.sum(dim=1).tolist())) > 1
    assert not torch.equal(found, leave_out_tokens(mask))


def test_used_tokens_are_named_once_and_in_order() -> None:
    assert used_tokens([{"input_ids": [9, 3]}, {"input_ids": [3, 23]}]) == USED
