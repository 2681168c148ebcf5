"""Scales are chosen so that channels of any size, and tokens that calibration did not see, keep their digits."""

from typing import Any

import numpy as np

from export.precision.int8.calibration import Moments
from export.precision.int8.inputs import fixed_scale, row_zero_point
from export.precision.int8.weights import column_scales


def uneven(count: int = 500) -> tuple[Any, Any]:
    """Tokens whose channels reach very differently far, and weights for them."""
    generator = np.random.default_rng(0)
    rows = (generator.normal(size=(count, 24)) * np.geomspace(0.1, 30, 24) + 3).astype(np.float32)
    return rows, generator.normal(size=(24, 6)).astype(np.float32)


def test_statistics_of_centred_and_divided_channels_are_those_of_the_values_themselves() -> None:
    rows, weights = uneven()
    moments = Moments(24)
    moments.add(rows[:200])
    moments.add(rows[200:])
    scale = fixed_scale(moments, [weights[:, :2], weights[:, 2:]])
    divided = ((rows - scale.centre) / scale.divisor).astype(np.float64)
    assert np.allclose(scale.mean(moments), divided.mean(axis=0), atol=1e-4)
    assert np.allclose(scale.second_moments(moments), divided.T @ divided / 500, atol=1e-3)
    assert np.allclose(divided @ scale.spread(weights) + scale.centre @ weights, rows @ weights, atol=1e-3)
    # Every value seen has a byte.
    found = divided / scale.scale + scale.zero_point
    assert found.min() > -0.51
    assert found.max() < 255.51


def test_channels_that_reach_far_do_not_leave_the_others_a_few_steps() -> None:
    rows, weights = uneven(4000)
    moments = Moments(24)
    moments.add(rows[:2000])
    scale = fixed_scale(moments, [weights])

    def off(divisor: Any, step: Any) -> float:
        divided = (rows[2000:] - scale.centre) / divisor
        byte = np.clip(np.rint(divided / step + 128), 0, 255)
        spread = weights * divisor[:, None]
        steps = column_scales(spread)
        return float(np.square((byte - 128) * step @ (np.rint(spread / steps) * steps) - divided @ spread).mean())

    alike = np.ones(24)
    reach = (moments.high - scale.centre).max()
    assert off(scale.divisor, scale.scale) < off(alike, reach / 127) / 2
    # Neither do all channels reach alike: then some token of those to come would be cut off in one of them.
    reaches = (moments.high - scale.centre) / scale.divisor
    assert reaches.max() > 1.5 * reaches.min()


def test_the_zero_point_of_tokens_with_scales_of_their_own_follows_where_their_values_lie() -> None:
    generator = np.random.default_rng(0)
    symmetric, positive = Moments(8), Moments(8)
    rows = generator.normal(size=(100, 8)).astype(np.float32)
    symmetric.add(rows)
    positive.add(np.abs(rows))
    assert row_zero_point(symmetric) == 128
    assert row_zero_point(positive) == 1
