"""A graph in one precision, made and measured: what a version is chosen from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from export import ExportError, Step
from export.checkpoint.load import Checkpoint
from export.graph.build import check_graph, optimize_graph
from export.parity.measure import Reference, encode, measure, violations
from export.parity.report import Sweep
from export.parity.sweep import SweepTexts, sweep, sweep_violations
from export.precision.formats import Calibration, write_precision
from export.precision.int8.calibration import CalibrationText
from export.precision.int8.texts import calibration_texts
from export.precision.ranges import Feed, calibration_feeds
from repository.inference import Float32Array
from repository.manifest import (
    MODEL_FILE,
    TOKENIZER_FILE,
    Evaluation,
    Judgement,
    Parity,
    Precision,
    RepositoryError,
)
from repository.tolerances import TOLERANCES, Provider, Tolerance, unit_of


@dataclass(frozen=True)
class Candidate:
    """A graph in one precision, with what was measured of it, and on what."""

    precision: Precision
    folder: Path
    parity: Parity
    evaluation: Evaluation | None
    size_bytes: int
    logits: Float32Array = field(repr=False, compare=False)
    """Its answers to the sentences it was measured on `[sentences, labels]`."""
    sweep: Sweep | None = None
    provider: Provider = Provider.CPU
    unit: float = 1.0
    """Of its answers (`repository.tolerances.unit_of`)."""
    judgement: Judgement | None = None
    """What `auto` found; None of one that was not chosen, but asked for."""

    @property
    def tolerance(self) -> Tolerance:
        """What it may differ from PyTorch by."""
        return TOLERANCES[self.provider, self.precision].in_units(self.unit)

    def violations(self, tolerance: Tolerance | None = None) -> list[str]:
        """What is outside the tolerance, its precision's own if none is given."""
        tolerance = tolerance.in_units(self.unit) if tolerance else self.tolerance
        found = violations(self.parity, self.evaluation, tolerance)
        if self.sweep is None:
            return found
        return [*found, *sweep_violations(self.sweep, tolerance, self.parity.max_logit_difference)]


@dataclass
class Workshop:
    """Makes and measures the graphs of one checkpoint, each once.

    Attributes:
        checkpoint: what is exported.
        raw: the traced graph; the folder of each precision is made beside it.
        calibration: sentences that int8 sets its scales by, and fp16's ranges are measured on.
        sweep_texts: PyTorch's answers to texts of each length.
        provider: what measures here.
        step: opens a progress bar.
        embedded_limit_bytes: size from which the weights lie beside the graph.
    """

    checkpoint: Checkpoint
    raw: Path
    calibration: Sequence[str]
    sweep_texts: SweepTexts
    provider: Provider
    step: Step
    embedded_limit_bytes: int
    _made: set[Precision] = field(default_factory=set)

    def graph(self, precision: Precision, reference: Reference) -> Path:
        """The folder that holds the graph in this precision and its tokenizer; it is made if it is not there.

        Args:
            precision: number format.
            reference: what fp16's ranges are measured on where there are no sentences to calibrate by.

        Raises:
            ExportError: no graph in this precision can be made.
        """
        folder = self.raw.parent / precision.value
        if precision in self._made:
            return folder
        checkpoint = self.checkpoint
        folder.mkdir(exist_ok=True)
        with self.step(f"Optimizing for {precision.value}", 1) as advance:
            optimized = optimize_graph(self.raw, checkpoint.model.config, checkpoint.layout)
            advance(1)
        data = self._calibration(precision, reference)
        limit = self.embedded_limit_bytes
        write_precision(optimized, precision, folder / MODEL_FILE, self.raw.parent, data, self.step, limit)
        check_graph(folder / MODEL_FILE)
        tokenizer = checkpoint.tokenizer.backend_tokenizer
        # The direction is all that counts of this: the manifest says how long a sequence may be.
        tokenizer.enable_truncation(checkpoint.max_length, direction=checkpoint.tokenizer.truncation_side)
        tokenizer.no_padding()
        tokenizer.save(str(folder / TOKENIZER_FILE))
        self._made.add(precision)
        return folder

    def candidate(self, precision: Precision, reference: Reference) -> Candidate:
        """The graph of one precision, measured on these sentences and in the sweep.

        Raises:
            ExportError: no graph in this precision can be made.
        """
        return self.swept(self.compared(precision, reference))

    def compared(self, precision: Precision, reference: Reference) -> Candidate:
        """The graph of one precision, measured on these sentences alone.

        Raises:
            ExportError: no graph in this precision can be made.
        """
        checkpoint = self.checkpoint
        with refusal_in_one_line(precision):
            folder = self.graph(precision, reference)
            with self.step(f"Comparing {precision.value} with PyTorch", 2 * len(reference.texts)) as advance:
                parity, evaluation, logits = measure(folder, checkpoint, reference, advance)
        if evaluation is not None:
            evaluated = reference.labelled or reference
            evaluation = evaluation.model_copy(update={"held_out": evaluated.held_out, "origin": evaluated.origin})
        size_bytes = sum(file.stat().st_size for file in folder.glob(f"{MODEL_FILE}*"))
        unit = unit_of(reference.text_logits, checkpoint.problem_type)
        return Candidate(precision, folder, parity, evaluation, size_bytes, logits, provider=self.provider, unit=unit)

    def swept(self, candidate: Candidate) -> Candidate:
        """The same graph, asked at each length and in batches as well.

        Raises:
            ExportError: it cannot be run on them.
        """
        with refusal_in_one_line(candidate.precision):
            return replace(candidate, sweep=sweep(candidate.folder, self.checkpoint, self.sweep_texts, self.step))

    def _calibration(self, precision: Precision, reference: Reference) -> Calibration:
        """Only what this precision is calibrated by: tokenizing hundreds of sentences one by one takes a while."""
        checkpoint = self.checkpoint
        texts: list[CalibrationText] = []
        feeds: list[Feed] = []
        if precision is Precision.INT8:
            texts = calibration_texts(checkpoint, self.calibration)
        elif precision is Precision.FP16:
            ids = [encode(checkpoint, sentence) for sentence in self.calibration or reference.sentences]
            vocabulary = checkpoint.model.config.vocab_size
            feeds = calibration_feeds(ids, checkpoint.pad_token_id, checkpoint.max_length, vocabulary)
        return Calibration(texts, feeds, checkpoint.pad_token_id)


@contextmanager
def refusal_in_one_line(precision: Precision) -> Iterator[None]:
    """Whatever the converters and ONNX Runtime raise while a graph is made and measured becomes one line.

    Raises:
        ExportError: anything else was raised. Their exceptions have no common base but Exception.
    """
    try:
        yield
    except (ExportError, RepositoryError):
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ExportError(f"no graph in {precision.value} can be made of this model: {reason}") from error
