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
FLOAT32_WORK = 0.05
# All products are measured on a few texts; on all of these, only the worst that make up so much of the work.
SHORTLISTED_WORK = 0.3
FEW_TEXTS = 16
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
    path = folder / "switches.onnx"
    path.write_bytes(graph.with_switches().SerializeToString())
    session = frugal_session(path)
    count, all_work = len(graph.products), sum(product.work for product in graph.products)
    small = [place for place, product in enumerate(graph.products) if product.work <= FLOAT32_WORK * all_work]
    few = _errors(session, _feeds(calibration[:FEW_TEXTS], pad_token_id), count, small, advance)
    likely = _worst(graph, small, few, SHORTLISTED_WORK)
    errors = _errors(session, _feeds(calibration[:MEASURED_TEXTS], pad_token_id), count, likely, lambda _: None)
    advance(count - len(small))
    path.unlink()
    return [graph.products[place].output for place in _worst(graph, likely, errors, FLOAT32_WORK)]


def _feeds(texts: Sequence[CalibrationText], pad_token_id: int) -> list[dict[str, Any]]:
    ids, masks = zip(*texts, strict=True)
    return [
        pad_batch([ids[place] for place in batch], pad_token_id, masks=[masks[place] for place in batch])
        for batch in batches_by_length(list(map(len, ids)), BATCH_SIZE)
    ]


def _worst(graph: Int8Graph, places: Sequence[int], errors: Float32Array, share: float) -> list[int]:
    """Of the products at these places those with the most error for their work, up to a share of all work."""
    left = share * sum(product.work for product in graph.products)
    work = np.array([graph.products[place].work for place in places], dtype=np.float64)
    taken = []
    for number in np.argsort(-errors / work, kind="stable"):
        if work[number] <= left:
            left -= work[number]
            taken.append(places[number])
    return taken


def _errors(
    session: Any, feeds: Sequence[dict[str, Any]], count: int, places: Sequence[int], advance: Callable[[int], None]
) -> Float32Array:
    """Mean squared error of the logits with one product at a time in int8.

    Args:
        session: the graph with switches.
        feeds: what to ask it.
        count: of switches.
        places: of the products to measure.
        advance: told of each product measured.

    Returns:
        `[places]`.
    """

    def ask(switches: Any) -> Float32Array:
        return np.concatenate([session.run([OUTPUT], {**feed, SWITCHES: switches})[0] for feed in feeds])

    full = ask(np.zeros(count, dtype=bool))
    errors = np.empty(len(places), dtype=np.float32)
    for number, place in enumerate(places):
        errors[number] = np.square(ask(np.arange(count) == place) - full).mean()
        advance(1)
    return errors
