"""Chooses golden sentences: those of a version that are asked again wherever it is served."""

from collections.abc import Sequence

import numpy as np

SENTENCES = 20
# Of all together: a model of XLM-R large's size answers them in some 15 s on two cores, and is loaded that much later.
MOST_TOKENS = 2048
# Beside them, for models that tell two texts apart.
PAIRS = 4


def _sentences(texts: Sequence[str], lengths: Sequence[int]) -> list[int]:
    """Indices of sentences of all lengths, the shortest and the longest among them; the same ones every time.

    Args:
        texts: sentences; of equal ones, one is taken.
        lengths: their lengths in tokens.

    Returns:
        At most SENTENCES indices, shortest first, together at most MOST_TOKENS long where short ones are to be had.
    """
    first = {text: index for index, text in reversed(list(enumerate(texts)))}
    order = sorted(first.values(), key=lambda index: (lengths[index], texts[index]))
    shorter, longest = order[:-1], order[-1]
    # Beside the longest one, each has an equal share of the tokens that are left.
    share = (MOST_TOKENS - lengths[longest]) // (SENTENCES - 1)
    fitting = [index for index in shorter if lengths[index] <= share]
    pool = fitting if len(fitting) >= SENTENCES - 1 else shorter[: SENTENCES - 1]
    places = np.linspace(0, len(pool) - 1, min(SENTENCES - 1, len(pool))).round().astype(int)
    return [*(pool[place] for place in places), longest]


def choose_golden(texts: Sequence[str | tuple[str, str]], lengths: Sequence[int]) -> list[int]:
    """Indices of sentences of all lengths, then of the shortest pairs.

    Args:
        texts: sentences, then pairs.
        lengths: their lengths in tokens.
    """
    sentences = [text for text in texts if isinstance(text, str)]
    count = len(sentences)
    shortest_pairs = sorted(range(count, len(texts)), key=lambda index: lengths[index])[:PAIRS]
    return [*_sentences(sentences, lengths[:count]), *shortest_pairs]
