"""Long texts, made of sentences that follow each other: files of sentences hold few, and users send them."""

from collections.abc import Sequence

# Some texts of each length in tokens that is below the model's limit, and of the limit or the last of these.
LENGTHS = (64, 128, 256, 512, 1024, 2048)
# Of one length; and how many tokens they have together, so that the longest cost no more than all the sentences do.
MOST_TEXTS, MOST_TOKENS = 16, 8192


def long_texts(sentences: Sequence[str], tokens: Sequence[int], limit: int) -> list[str]:
    """Join sentences to texts of several lengths; none of a length that the sentences do not fill.

    Args:
        sentences: in an order in which neighbours have to do with each other.
        tokens: of each sentence, special tokens included, so that texts come out a little longer than they count.
        limit: most tokens of a text; what is past it will be cut.
    """
    longest = min(limit, LENGTHS[-1])
    lengths = [length for length in LENGTHS if length < longest] + [longest]
    texts: dict[str, None] = {}
    for length in lengths:
        for text in _of_length(sentences, tokens, length)[: min(MOST_TEXTS, max(1, MOST_TOKENS // length))]:
            texts[text] = None
    return list(texts)


def _of_length(sentences: Sequence[str], tokens: Sequence[int], length: int) -> list[str]:
    texts: list[str] = []
    taken: list[str] = []
    size = 0
    for sentence, count in zip(sentences, tokens, strict=True):
        taken.append(sentence)
        size += count
        if size >= length:
            if len(taken) > 1:
                texts.append(" ".join(taken))
            taken, size = [], 0
    return texts
