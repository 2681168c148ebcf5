"""The sentences that every benchmark asks: those of a data set, in a fixed random order."""

import random
from pathlib import Path

from training.data.reading import read_file

SEED = 0


def load_sentences(data: Path, count: int) -> list[str]:
    """`count` sentences drawn without replacement (from the start again where the data has fewer), always the same."""
    sentences = [example.text for example in read_file(data).examples]
    random.Random(SEED).shuffle(sentences)
    return [sentences[place % len(sentences)] for place in range(count)]
