"""A graph that computes more is measured as slower, by about as much, whatever else the machine does."""

from pathlib import Path

from export.version.speed import measure_speedup
from repository.tolerances import Provider
from tests.version_folders import write_version

WORDS = [f"word{number}" for number in range(40)]
SENTENCES = [" ".join(WORDS[place % 40 : place % 40 + 8]) for place in range(200)]


def speedup(folder: Path, plain: Path) -> float:
    return measure_speedup(folder, plain, SENTENCES, 16, 0, False, Provider.CPU)


def test_a_graph_of_a_quarter_of_the_layers_is_several_times_as_fast(tmp_path: Path) -> None:
    labels = {word: "even" if place % 2 else "odd" for place, word in enumerate(WORDS)}
    small, large = (write_version(tmp_path / str(layers), labels, layers=layers) for layers in (4, 16))
    assert 2 < speedup(small, large) < 8
    assert 1 / 8 < speedup(large, small) < 1 / 2
    assert 0.8 < speedup(small, small) < 1.25
