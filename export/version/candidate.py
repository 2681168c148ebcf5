"""A graph in one precision, made and measured: what a version is chosen from."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from export import ExportError, Step
from export.checkpoint.load import Checkpoint
from export.graph.build import check_graph, optimize_graph
from export.parity.measure import Reference, encode, measure, violations
from export.parity.report import Sweep
from export.parity.sweep import sweep_violations
from export.precision.formats import Calibration, write_precision
from export.precision.int8.calibration import CalibrationText
from export.precision.int8.texts import calibration_texts
from export.precision.ranges import Feed, calibration_feeds
from repository.manifest import MODEL_FILE, TOKENIZER_FILE, Evaluation, Parity, Precision, RepositoryError
from repository.tolerances import AUTOMATIC, TOLERANCES, Provider, Tolerance, unit_of

# What `--precision auto` tries in turn, by what serves here; the last one is taken whatever it costs in speed.
AUTOMATIC_ORDER = {
    Provider.CUDA: (Precision.FP16, Precision.FP32),
    Provider.CPU: (Precision.INT8, Precision.FP32),
}


@dataclass(frozen=True)
class Candidate:
    """A graph in one precision, with what was measured of it, and on what."""

    precision: Precision
    folder: Path
    parity: Parity
    evaluation: Evaluation | None
    size_bytes: int
    sweep: Sweep | None = None
    provider: Provider = Provider.CPU
    unit: float = 1.0
    """Of its answers (`repository.tolerances.unit_of`)."""

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


def make_candidate(
    checkpoint: Checkpoint,
    precision: Precision,
    raw: Path,
    reference: Reference,
    calibration: Sequence[str],
    step: Step,
    embedded_limit_bytes: int,
) -> Candidate:
    """Make the graph of one precision and compare it with PyTorch's answers; the sweep is not run yet.

    Args:
        checkpoint: what is exported.
        precision: number format.
        raw: the traced graph; the candidate's folder is made beside it.
        reference: PyTorch's answers.
        calibration: sentences that int8 sets its scales by.
        step: opens a progress bar.
        embedded_limit_bytes: size from which the weights lie beside the graph.

    Raises:
        ExportError: no graph in this precision can be made.
    """
    folder = raw.parent / precision.value
    folder.mkdir()
    with step(f"Optimizing for {precision.value}", 1) as advance:
        optimized = optimize_graph(raw, checkpoint.model.config, checkpoint.layout)
        advance(1)
    data = _calibration(checkpoint, precision, reference, calibration)
    write_precision(optimized, precision, folder / MODEL_FILE, raw.parent, data, step, embedded_limit_bytes)
    check_graph(folder / MODEL_FILE)
    tokenizer = checkpoint.tokenizer.backend_tokenizer
    # The direction is all that counts of this: the manifest says how long a sequence may be.
    tokenizer.enable_truncation(checkpoint.max_length, direction=checkpoint.tokenizer.truncation_side)
    tokenizer.no_padding()
    tokenizer.save(str(folder / TOKENIZER_FILE))
    with step(f"Comparing {precision.value} with PyTorch", 2 * len(reference.texts)) as advance:
        parity, evaluation = measure(folder, checkpoint, reference, advance)
    if evaluation is not None:
        evaluated = reference.labelled or reference
        evaluation = evaluation.model_copy(update={"held_out": evaluated.held_out, "origin": evaluated.origin})
    size_bytes = sum(file.stat().st_size for file in folder.glob(f"{MODEL_FILE}*"))
    unit = unit_of(reference.text_logits, checkpoint.problem_type)
    return Candidate(precision, folder, parity, evaluation, size_bytes, unit=unit)


def _calibration(
    checkpoint: Checkpoint, precision: Precision, reference: Reference, sentences: Sequence[str]
) -> Calibration:
    """Only what this precision is calibrated by: tokenizing hundreds of sentences one by one takes a while."""
    texts: list[CalibrationText] = []
    feeds: list[Feed] = []
    if precision is Precision.INT8:
        texts = calibration_texts(checkpoint, sentences)
    elif precision is Precision.FP16:
        compared = [encode(checkpoint, sentence) for sentence in reference.sentences]
        vocabulary = checkpoint.model.config.vocab_size
        feeds = calibration_feeds(compared, checkpoint.pad_token_id, checkpoint.max_length, vocabulary)
    return Calibration(texts, feeds, checkpoint.pad_token_id)


def choose(candidate: Callable[[Precision], Candidate], provider: Provider) -> tuple[Candidate, str, list[Candidate]]:
    """What `--precision auto` means; what is right comes before what is fast.

    A format that cannot be made of this model, and one that is not right enough, are both passed over with the reason.
    """
    reasons = ["CUDA serves here" if provider is Provider.CUDA else "no CUDA here"]
    measured: list[Candidate] = []
    *tried, last = AUTOMATIC_ORDER[provider]
    for precision in tried:
        try:
            found = candidate(precision)
        except ExportError as error:
            reasons.append(f"no {precision.value} ({error})")
            continue
        measured.append(found)
        outside = found.violations(AUTOMATIC[provider, precision])
        if not outside:
            reasons.append(f"{precision.value} answers as {last.value} does")
            return found, f"auto: {', and '.join(reasons)}", measured
        reasons.append(f"{precision.value} is not right enough ({'; '.join(outside)})")
    full = candidate(last)
    return full, f"auto: {', and '.join(reasons)}", [*measured, full]


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
