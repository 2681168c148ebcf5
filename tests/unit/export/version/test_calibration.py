"""What a format is fitted to is not what it is judged on."""

from pathlib import Path

import pytest

from export.checkpoint.load import load_checkpoint
from export.parity.cost import cost_of
from export.parity.measure import Reference, encode, reference_answers
from export.parity.sweep import SweepTexts
from export.precision.formats import Calibration
from export.version.candidate import Workshop
from repository.manifest import Precision
from repository.tolerances import Provider
from tests.steps import no_step
from tests.tiny_exports import write_source

COMPARED = ["doctor", "family market"]
CALIBRATION = ["a recipe for soup", "trip", "invoice of a school"]


class Bench(Workshop):
    """A workshop that shows what it calibrates by."""

    def shown(self, precision: Precision, reference: Reference) -> Calibration:
        return self._calibration(precision, reference)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_source(tmp_path_factory.mktemp("checkpoint"))


@pytest.mark.parametrize("sentences", [CALIBRATION, []])
def test_the_ranges_of_fp16_are_those_of_calibration_sentences(folder: Path, sentences: list[str]) -> None:
    """Without any, those of the compared ones are better than none."""
    checkpoint = load_checkpoint(str(folder / "classifier"))
    reference = reference_answers(checkpoint, COMPARED, None, lambda _: None)
    texts = SweepTexts({}, [], cost_of(checkpoint))
    bench = Bench(checkpoint, folder / "raw.onnx", sentences, texts, Provider.CPU, no_step, 0)
    feeds = bench.shown(Precision.FP16, reference).feeds
    real = {
        tuple(int(token) for token in row if token != checkpoint.pad_token_id)
        for feed in feeds[:-2]  # the last two are random tokens
        for row in feed["input_ids"]
    }
    assert real == {tuple(encode(checkpoint, sentence)) for sentence in sentences or COMPARED}


def test_int8_is_calibrated_on_long_texts_of_these_sentences_as_well(folder: Path) -> None:
    checkpoint = load_checkpoint(str(folder / "classifier"))
    reference = reference_answers(checkpoint, COMPARED, None, lambda _: None)
    texts = SweepTexts({}, [], cost_of(checkpoint))
    bench = Bench(checkpoint, folder / "raw.onnx", CALIBRATION, texts, Provider.CPU, no_step, 0)
    lengths = [len(text.ids) for text in bench.shown(Precision.INT8, reference).texts]
    assert max(lengths) == checkpoint.max_length
    assert {32, 64} <= set(lengths)
