"""What an export may be off by stands in one table, for every provider and precision, and no card widens it."""

from dataclasses import astuple
from itertools import product

import pytest

from export.graph.session import CUDA, session_providers
from export.version.automatic import AUTOMATIC_ORDER
from repository.manifest import Precision
from repository.tolerances import AUTOMATIC, GOLDEN, TOLERANCES, Provider, golden_bound, replay_bound

EVERY = list(product(Provider, Precision))


def test_every_provider_and_precision_has_a_tolerance() -> None:
    assert set(TOLERANCES) == set(AUTOMATIC) == set(EVERY)
    assert set(GOLDEN) == set(Precision)
    assert set(AUTOMATIC_ORDER) == set(Provider)


def test_on_a_cpu_the_bounds_are_these() -> None:
    bounds = {precision: astuple(TOLERANCES[Provider.CPU, precision]) for precision in Precision}
    assert bounds == {
        Precision.FP32: (1e-3, None, 1.0, 0.002, False, 1e-3, None, None),
        Precision.FP16: (0.1, None, 0.99, 0.005, False, 1.0, None, None),
        Precision.INT8: (None, None, 0.95, 0.02, False, None, 1e-3, 3.0),
    }
    assert astuple(AUTOMATIC[Provider.CPU, Precision.INT8]) == (None, None, 0.95, 0.02, False, None, 1e-4, 3.0)


def test_int8_has_a_bound_at_every_length_though_none_on_single_logits() -> None:
    tolerance = TOLERANCES[Provider.CPU, Precision.INT8]
    # Real text three times what sentences are off by, or a tenth of the range, and never more than half of the range.
    assert tolerance.bounds(20.0, 1.0) == (3.0, 10.0)
    assert tolerance.bounds(20.0, 0.1) == (2.0, 10.0)
    assert tolerance.bounds(20.0, 9.0) == (10.0, 10.0)
    assert tolerance.bounds(0.0, 0.0) == (0.1, 0.5)
    assert TOLERANCES[Provider.CPU, Precision.FP32].bounds(20.0, 0.6) == (1e-3, 1e-3)


@pytest.mark.parametrize("precision", list(Precision))
def test_a_card_is_no_reason_for_a_wider_bound(precision: Precision) -> None:
    assert TOLERANCES[Provider.CUDA, precision] == TOLERANCES[Provider.CPU, precision]


def test_a_session_that_measures_computes_float32_on_cuda_without_tf32() -> None:
    assert session_providers([CUDA, "CPUExecutionProvider"]) == [(CUDA, {"use_tf32": "0"}), "CPUExecutionProvider"]
    assert session_providers(["AzureExecutionProvider", "CPUExecutionProvider"]) == ["CPUExecutionProvider"]


def test_golden_sentences_allow_for_tf32_where_they_are_asked() -> None:
    # Ten bits of mantissa, as in fp16: a logit of some units is off by thousandths to hundredths.
    assert golden_bound(Precision.FP32, 1e-6) == TOLERANCES[Provider.CUDA, Precision.FP16].max_logit_difference
    assert golden_bound(Precision.FP32, 0.4) == 0.8


def test_an_answer_that_is_computed_anew_has_the_bound_of_rounding_on_the_same_provider_alone() -> None:
    assert replay_bound(Provider.CPU, Precision.FP32, anywhere=0.1) == 1e-3
    assert replay_bound(Provider.CUDA, Precision.FP16, anywhere=0.2) == 0.1
    # int8 has no bound on single logits, and between providers, or of one that nobody knows, each bound is the widest.
    assert replay_bound(Provider.CPU, Precision.INT8, anywhere=0.7) == 0.7
    assert replay_bound(Provider.CPU, Precision.INT8) == GOLDEN[Precision.INT8]
    assert replay_bound(None, Precision.FP32) == GOLDEN[Precision.FP32]
    assert replay_bound(None, Precision.FP32, anywhere=0.4) == 0.4
    # A regression's are in its own unit; the version's own bound is so already.
    assert replay_bound(Provider.CPU, Precision.FP32, unit=300.0) == pytest.approx(0.3)
    assert replay_bound(None, Precision.FP32, anywhere=30.0, unit=300.0) == 30.0
