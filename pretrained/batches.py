"""Cuts texts into batches of neighbours in length that fit into the memory of a small machine.

Attention keeps a score for every pair of tokens: heads x batch x length x length x 4 bytes for one layer, and as much
again for their softmax. With twelve heads, a batch at the bound below takes 0.8 GB.
"""

from collections.abc import Sequence

BATCH_SIZE = 32
# Of batch x length x length, as many as 64 sentences of 512 tokens have.
MOST_SCORES = 64 * 512 * 512


def fits(sentences: int, length: int) -> bool:
    """Whether so many sentences, padded to this length in tokens, may be one batch; a single one always may."""
    return sentences == 1 or sentences * length * length <= MOST_SCORES


def batches_by_length(lengths: Sequence[int], most: int = BATCH_SIZE) -> list[list[int]]:
    """Indices of texts of these lengths, shortest first, in batches of at most `most`."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        length = lengths[index]  # the longest so far
        if batches and len(batches[-1]) < most and fits(len(batches[-1]) + 1, length):
            batches[-1].append(index)
        else:
            batches.append([index])
    return batches
