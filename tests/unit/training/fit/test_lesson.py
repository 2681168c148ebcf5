"""What a student learns from: layers that are cut out of any architecture, and losses that mean what they say."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForSequenceClassification  # noqa: E402

from pretrained.architectures import ARCHITECTURES, Head  # noqa: E402
from repository.manifest import ProblemType  # noqa: E402
from tests.tiny_architectures import tiny_config  # noqa: E402
from tests.tiny_models import BOS, EOS, spread_weights  # noqa: E402
from training.fit.layers import (  # noqa: E402
    LayersError,
    candidates,
    check_outputs,
    find_layers,
    shortened,
    stands_for,
    watched,
)
from training.fit.lesson import hidden_loss, soft_loss  # noqa: E402

ONE_STACK = sorted(name for name, found in ARCHITECTURES.items() if found.head is not Head.LAST_EOS)
WITHOUT = ("albert", "squeezebert")
IDS = torch.tensor([[BOS, 9, 23, 42, 11, EOS]])
INPUTS = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}


def model_of(model_type: str, layers: int) -> Any:
    """A random classifier of so many layers."""
    names = {name: layers for name in ("n_layers", "n_layer") if name in vars(tiny_config(model_type))}
    kinds = {"layer_types": ["full_attention"] * layers} if model_type == "gemma3_text" else {}
    torch.manual_seed(0)
    config = tiny_config(model_type, **names, num_hidden_layers=layers, **kinds)
    model = AutoModelForSequenceClassification.from_config(config)
    with torch.no_grad():
        spread_weights(model)
    return model.eval()


@torch.inference_mode()
def logits(model: Any) -> Any:
    return model(**INPUTS).logits


@pytest.mark.parametrize("model_type", [name for name in ONE_STACK if name not in WITHOUT])
def test_a_shorter_copy_is_the_model_without_its_other_layers(model_type: str, tmp_path: Any) -> None:
    teacher = model_of(model_type, 3)
    _, layers = find_layers("t", teacher)
    assert len(layers) == 3
    check_outputs("t", teacher, layers, INPUTS)
    torch.testing.assert_close(logits(shortened("t", teacher, (0, 1, 2)).eval()), logits(teacher))
    student = shortened("t", teacher, (0, 2)).eval()
    stack, own = find_layers("s", student)
    assert len(own) == student.config.num_hidden_layers == 2
    for place, number in enumerate((0, 2)):
        for name, weight in own[place].state_dict().items():
            assert torch.equal(weight, layers[number].state_dict()[name]), f"{stack}.{place}.{name}"
    student.save_pretrained(tmp_path)
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path).eval()
    torch.testing.assert_close(logits(loaded), logits(student))


@pytest.mark.parametrize(("model_type", "reason"), [("albert", "has no list of 3 layers"), ("bart", "of two kinds")])
def test_a_model_whose_layers_cannot_be_cut_out_is_named_in_one_line(model_type: str, reason: str) -> None:
    with pytest.raises(LayersError, match=reason):
        find_layers("t", model_of(model_type, 3))


def test_layers_that_give_no_vector_a_token_are_refused() -> None:
    model = model_of("squeezebert", 2)
    with pytest.raises(LayersError, match="no vector for each token"):
        check_outputs("t", model, find_layers("t", model)[1], INPUTS)


@pytest.mark.parametrize(("count", "wanted"), [(12, 6), (13, 6), (13, 3), (12, 4), (24, 1), (2, 1), (5, 4)])
def test_each_way_to_keep_layers_is_another_one(count: int, wanted: int) -> None:
    ways = candidates(count, wanted)
    assert len(set(ways.values())) == len(ways) > 1
    for kept in ways.values():
        assert len(kept) == wanted
        assert list(kept) == sorted(set(kept))
        assert 0 <= kept[0] <= kept[-1] < count


def test_a_layer_stands_for_those_behind_it_that_are_gone() -> None:
    assert stands_for((0, 2, 5), 6) == [1, 4, 5]
    assert stands_for((0, 1, 2), 12) == [0, 1, 11]
    assert stands_for((0, 1, 2), 3) == [0, 1, 2]


def test_the_soft_loss_is_least_where_the_answers_are_the_teachers() -> None:
    torch.manual_seed(0)
    wanted, other = torch.randn(4, 3), torch.randn(4, 3)
    for task in ProblemType:
        same, far = (float(soft_loss(each, wanted, task, 2.0)) for each in (wanted, other))
        assert same < far
        own = wanted.clone().requires_grad_()
        soft_loss(own, wanted, task, 2.0).backward()
        assert own.grad is not None
        assert own.grad.abs().max() < 1e-6
    # One label at temperature 1 is the Kullback-Leibler divergence.
    theirs, own = wanted.softmax(-1), other.softmax(-1)
    expected = float((theirs * (theirs / own).log()).sum())
    assert float(soft_loss(other, wanted, ProblemType.SINGLE_LABEL, 1.0)) == pytest.approx(expected, rel=1e-5)


def test_the_hidden_loss_leaves_padding_out_and_adds_up_over_parts() -> None:
    torch.manual_seed(0)
    own, theirs = [torch.randn(3, 5, 8)], [torch.randn(3, 5, 8)]
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]])
    whole = float(hidden_loss(own, theirs, mask))
    parts = [
        float(hidden_loss([own[0][row : row + 1]], [theirs[0][row : row + 1]], mask[row : row + 1])) for row in range(3)
    ]
    assert whole == pytest.approx(sum(parts), rel=1e-5)
    own[0][1, 2:] = 1e6
    assert float(hidden_loss(own, theirs, mask)) == pytest.approx(whole, rel=1e-5)
    assert float(hidden_loss(theirs, theirs, mask)) == 0
    # A vector twice as long is as far as its length.
    assert float(hidden_loss([2 * theirs[0]], theirs, mask)) == pytest.approx(3, rel=1e-5)


def test_layers_are_watched_only_while_they_are() -> None:
    model = model_of("bert", 2)
    _, layers = find_layers("t", model)
    with watched(layers) as outputs:
        logits(model)
    assert [each.shape for each in outputs] == [(1, 6, 32)] * 2
    logits(model)
    assert len(outputs) == 2
