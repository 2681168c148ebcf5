"""The sentences that every benchmark asks: those of a data set, in a fixed random order."""

import random
from pathlib import Path

from training.maps_csv import read_maps_csv

SEED = 0


def load_sentences(data: Path, count: int) -> list[str]:
    """`count` sentences drawn without replacement (from the start again where the data has fewer), always the same."""
    sentences = [idea.sentence for idea in read_maps_csv(data).ideas]
    random.Random(SEED).shuffle(sentences)
    return [sentences[place % len(sentences)] for place in range(count)]
