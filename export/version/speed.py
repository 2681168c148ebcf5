"""How many times as fast is one graph as another on this machine, in the batches that a busy server computes?

On a CPU both compute on one thread, and what counts is that thread's processor time: other programs take turns with it
without being measured.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from time import perf_counter, thread_time
from typing import Any

import numpy as np
import onnxruntime

from export.graph.session import session_providers
from repository.inference import Int64Array, load_tokenizer, mask_of, pad_batch
from repository.manifest import MODEL_FILE
from repository.tolerances import Provider

BATCH_SIZE = 32
# Batches of different lengths, evenly from all of them.
BATCHES = 8
# In pairs of runs, whichever ends it: enough for a median, and no long wait on a slow machine.
SECONDS, LEAST_PAIRS = 3.0, 8


def measure_speedup(
    folder: Path,
    plain: Path,
    sentences: Sequence[str],
    max_length: int,
    pad_token_id: int,
    token_types: bool,
    provider: Provider,
) -> float:
    """The median of pairs of runs, each of the same batch: seconds of `plain` by seconds of `folder`.

    The two take turns, and in being first, so that what else fills the caches slows both down.

    Args:
        folder: holds a graph and its tokenizer.
        plain: holds another graph of the same model.
        sentences: real ones.
        max_length: at how many tokens they are cut.
        pad_token_id: id that fills rows.
        token_types: the manifest's.
        provider: what to compute on.
    """
    feeds = _feeds(folder, sentences, max_length, pad_token_id, token_types)
    own, other = _runner(folder, provider), _runner(plain, provider)
    for run in (own, other):
        for feed in (feeds[0], feeds[-1]):
            run(feed)
    ratios: list[float] = []
    begun = perf_counter()
    while len(ratios) < LEAST_PAIRS or perf_counter() - begun < SECONDS:
        feed = feeds[len(ratios) % len(feeds)]
        if (len(ratios) // len(feeds)) % 2:
            seconds, plain_seconds = own(feed), other(feed)
        else:
            plain_seconds, seconds = other(feed), own(feed)
        ratios.append(plain_seconds / seconds)
    return float(np.median(ratios))


def _runner(folder: Path, provider: Provider) -> Callable[[dict[str, Int64Array]], float]:
    available = onnxruntime.get_available_providers() if provider is Provider.CUDA else []
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session: Any = onnxruntime.InferenceSession(
        str(folder / MODEL_FILE), options, providers=session_providers(available)
    )
    clock = perf_counter if provider is Provider.CUDA else thread_time

    def seconds(feed: dict[str, Int64Array]) -> float:
        begun = clock()
        session.run(None, feed)
        return clock() - begun

    return seconds


def _feeds(
    folder: Path, sentences: Sequence[str], max_length: int, pad_token_id: int, token_types: bool
) -> list[dict[str, Int64Array]]:
    encodings = sorted(
        load_tokenizer(folder, max_length).encode_batch(list(sentences)), key=lambda encoding: len(encoding.ids)
    )
    batches = [encodings[start : start + BATCH_SIZE] for start in range(0, len(encodings), BATCH_SIZE)]
    full = [batch for batch in batches if len(batch) == BATCH_SIZE] or batches
    chosen = np.linspace(0, len(full) - 1, min(BATCHES, len(full))).round().astype(int)
    return [
        pad_batch(
            [encoding.ids for encoding in full[place]],
            pad_token_id,
            masks=[mask_of(encoding, token_types) for encoding in full[place]],
        )
        for place in chosen
    ]
