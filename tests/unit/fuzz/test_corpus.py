"""Each fuzzed reader keeps its promises on every input that was kept, and on some that are made anew the same way."""

import functools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.lines import share
from tests.fuzz.targets import CORPUS, NAMES, Target, load

EXAMPLES = 60
MOST_BYTES = 16_384
"""Of the corpus of a target."""
LEAST_SHARES = {"manifest": 0.45}
"""Of the lines of a target's first file, those that its corpus reaches; that of manifests does more than read them."""

target_named = functools.cache(load)
INPUTS = [pytest.param(path, id=f"{path.parent.name}-{path.name}") for path in sorted(CORPUS.glob("*/*"))]


@pytest.mark.parametrize("path", INPUTS)
def test_an_input_that_was_kept_breaks_no_promise(path: Path) -> None:
    target_named(path.parent.name).check(path.read_bytes())


@pytest.mark.parametrize("name", NAMES)
def test_inputs_that_are_made_of_pieces_break_no_promise(name: str) -> None:
    target = target_named(name)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(made_of_pieces(target))
    def check(data: bytes) -> None:
        target.check(data)

    check()


def made_of_pieces(target: Target) -> st.SearchStrategy[bytes]:
    """Inputs of the corpus with something cut out and words or other bytes put in."""
    kept = [path.read_bytes() for path in sorted(target.corpus.glob("*"))]
    pieces = st.lists(st.one_of(st.sampled_from(target.words), st.binary(max_size=4)), max_size=4).map(b"".join)

    def put(data: bytes, begin: int, length: int, piece: bytes) -> bytes:
        begin %= len(data) + 1
        return data[:begin] + piece + data[begin + length :]

    places = st.integers(0, 2**11), st.integers(0, 20)
    return st.one_of(st.builds(put, st.sampled_from(kept), *places, pieces), pieces)


@pytest.mark.parametrize("name", NAMES)
def test_the_corpus_is_small_and_reaches_most_lines(name: str) -> None:
    target = target_named(name)
    inputs = [path.read_bytes() for path in target.corpus.glob("*")]
    assert sum(map(len, inputs)) <= MOST_BYTES
    reached, count = share(target, inputs)[target.files[0]]
    assert reached >= LEAST_SHARES.get(name, 0.8) * count, f"{reached} of {count} lines"
