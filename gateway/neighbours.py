"""Which of the waiting sentences should share a call? Those that are nearest in length, as long as padding pays."""

import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

CALL_SHARE = 1 / 16
"""What a call costs beside its tokens (HTTP, the way through Triton, reading all weights once), as a part of the
largest call that is sent: whoever allows larger calls has a machine on which a call weighs more.

With 256 tokens, the default for a CPU, that is 16. Fitted to processor time over runs of 1 to 32 sentences of 6 to 40
tokens, ONNX Runtime's own part was 14 tokens in int8 and 12 in float32; the way to it comes on top."""


MOST_FOR_STUDENT = 16
"""A student's call is at most so many times as large as the model's: the memory it takes grows with it."""


class HasTokens(Protocol):
    """A sentence of a length."""

    @property
    def tokens(self) -> int:
        """How many it has."""


Sized = TypeVar("Sized", bound=HasTokens)


def cheapest_batch(candidates: Sequence[Sized], chosen: Sized, most: int, most_tokens: int) -> list[Sized]:
    """`chosen` and as many of its neighbours in length as make the batch cheapest for each token that is no padding.

    At most `most` sentences, and at most `most_tokens` with padding. A call costs as much as computing its padded
    tokens and `CALL_SHARE` of `most_tokens` more, so that joining pays until the padding eats up what it saves.
    """
    call_tokens = CALL_SHARE * most_tokens
    ordered = sorted(candidates, key=lambda candidate: candidate.tokens)
    lengths = [candidate.tokens for candidate in ordered]
    low = high = ordered.index(chosen)
    best, best_cost = (low, high), math.inf
    tokens = lengths[low]
    while True:
        size = high - low + 1
        padded = size * lengths[high]
        if size > most or (padded > most_tokens and size > 1):
            break
        cost = (call_tokens + padded) / tokens
        if cost < best_cost:
            best, best_cost = (low, high), cost
        shorter = lengths[low - 1] if low > 0 else -math.inf
        longer = lengths[high + 1] if high + 1 < len(ordered) else math.inf
        if shorter == -longer:
            break
        # Padding that each would add: to itself, or to all that are in already.
        if lengths[high] - shorter <= size * (longer - lengths[high]):
            low -= 1
            tokens += lengths[low]
        else:
            high += 1
            tokens += lengths[high]
    return ordered[best[0] : best[1] + 1]


def tokens_for_student(most_tokens: int, cost: float) -> int:
    """Most tokens of a call to a student that takes the share `cost` of the model's time for a token.

    A call weighs the same whoever is asked. So what it is worth in tokens is more of the student's than of the model's.
    """
    return round(min(MOST_FOR_STUDENT, max(1.0, 1 / cost)) * most_tokens)
