"""Which products stay float32: those to which int8 does far more harm than to others, measured on real texts."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from export.precision.int8.calibration import CalibrationText, frugal_session
from export.precision.int8.graph import SWITCHES, Int8Graph
from pretrained.batches import batches_by_length
from repository.inference import Float32Array, pad_batch
from repository.manifest import OUTPUT

# Share of the multiplications that stays float32; each takes about three times as long there.
FLOAT32_WORK = 0.1
MEASURED_TEXTS = 64
BATCH_SIZE = 16


def products_to_keep(
    graph: Int8Graph,
    folder: Path,
    calibration: Sequence[CalibrationText],
    pad_token_id: int,
    advance: Callable[[int], None],
) -> list[str]:
    """Outputs of the products to keep in float32: the most error for the work, up to FLOAT32_WORK of all work.

    Args:
        graph: float32 graph and its products in int8.
        folder: where its large weights lie; the graph to measure on is written there for the time being.
        calibration: real texts.
        pad_token_id: id that fills rows.
        advance: told of each product measured.
    """
    errors = _errors(graph, folder, calibration, pad_token_id, advance)
    work = np.array([product.work for product in graph.products], dtype=np.float64)
    kept: list[str] = []
    left = FLOAT32_WORK * work.sum()
    for place in np.argsort(-errors / work, kind="stable"):
        if work[place] <= left:
            left -= work[place]
            kept.append(graph.products[place].output)
    return kept


def _errors(
    graph: Int8Graph,
    folder: Path,
    calibration: Sequence[CalibrationText],
    pad_token_id: int,
    advance: Callable[[int], None],
) -> Float32Array:
    """Mean squared error of the logits with one product at a time in int8, `[products]`."""
    path = folder / "switches.onnx"
    path.write_bytes(graph.with_switches().SerializeToString())
    session = frugal_session(path)
    ids, masks = zip(*calibration[:MEASURED_TEXTS], strict=True)
    feeds = [
        pad_batch([ids[place] for place in batch], pad_token_id, masks=[masks[place] for place in batch])
        for batch in batches_by_length(list(map(len, ids)), BATCH_SIZE)
    ]

    def ask(switches: Any) -> Float32Array:
        return np.concatenate([session.run([OUTPUT], {**feed, SWITCHES: switches})[0] for feed in feeds])

    nothing = np.zeros(len(graph.products), dtype=bool)
    full = ask(nothing)
    errors = np.empty(len(graph.products), dtype=np.float32)
    for place in range(len(errors)):
        one = nothing.copy()
        one[place] = True
        errors[place] = np.square(ask(one) - full).mean()
        advance(1)
    path.unlink()
    return errors
