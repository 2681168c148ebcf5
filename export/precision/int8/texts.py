"""Which texts int8 sets its scales by: real sentences, pairs where a model takes pairs, and long texts made of them.

In long texts, values lie elsewhere than in the sentences at hand. Measured on the packaged MiniLM with a classifier, 32
to 60 texts a length: calibrated on sentences of some 15 tokens alone, int8 was off by 0.5 % of the range of the logits
at 12 tokens and by 1.2 % at 512; with one text of each length up to 512 beside them, by 0.5 % and 0.6 %.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle

from export.checkpoint.load import Checkpoint
from export.precision.int8.calibration import CalibrationText
from repository.inference import mask_of

# One text of each that is below the model's limit, and one at the limit, or at the last of these.
LONG_LENGTHS = (32, 64, 128, 256, 512, 1024, 2048)
# Of so many sentences, one is the first text of a pair as well.
PAIR_EVERY = 4


def calibration_texts(checkpoint: Checkpoint, sentences: Sequence[str]) -> list[CalibrationText]:
    """The sentences, then pairs of them, then long texts; none without sentences."""
    if not sentences:
        return []
    limit, half = checkpoint.max_length, len(sentences) // 2
    texts = [_encode(checkpoint, limit, sentence) for sentence in sentences]
    for place in range(0, len(sentences), PAIR_EVERY) if checkpoint.token_types else ():
        texts.append(_encode(checkpoint, limit, sentences[place], sentences[(place + half) % len(sentences)]))
    longest = min(limit, LONG_LENGTHS[-1])
    following = cycle(sentences)
    for length in [*(length for length in LONG_LENGTHS if length < longest), longest]:
        texts.append(_encode(checkpoint, length, " ".join(_joined(following, length))))
    # Some tokenizers give no token at all for a text of nothing that they know.
    return [text for text in texts if text.ids]


def _joined(sentences: Iterator[str], length: int) -> Iterator[str]:
    """Sentences with so many words, one after the other: a word gives one token at least."""
    words = 0
    while words < length:
        sentence = next(sentences)
        words += max(len(sentence.split()), 1)
        yield sentence


def _encode(checkpoint: Checkpoint, length: int, *texts: str) -> CalibrationText:
    (encoding,) = checkpoint.tokenizer(*texts, truncation=True, max_length=length).encodings
    return CalibrationText(list(encoding.ids), mask_of(encoding, checkpoint.token_types))
