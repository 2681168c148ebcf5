"""Builds a version folder: graph, tokenizer and manifest, in the precision that passes its checks."""

import importlib.metadata
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from export import ExportError
from export.checkpoint import Checkpoint
from export.evidence import write_evidence
from export.graph import check_graph, export_graph, optimize_graph
from export.int8_calibration import CalibrationText
from export.int8_texts import calibration_texts
from export.parity import Reference, Step, encode, measure, violations
from export.precision import Calibration, cuda_serves, write_precision
from export.ranges import Feed, calibration_feeds
from export.report import Sweep
from export.sweep import ask_pytorch, sweep, sweep_violations
from export.weights import EMBEDDED_LIMIT_BYTES
from repository.manifest import (
    MODEL_FILE,
    TOKENIZER_FILE,
    Evaluation,
    Manifest,
    Parity,
    Precision,
    RepositoryError,
    digest_file,
)
from repository.tolerances import AUTOMATIC, TOLERANCES, Provider, Tolerance, answer_unit

# What `--precision auto` tries in turn, by what serves here; the last one is taken whatever it costs in speed.
AUTOMATIC_ORDER = {
    Provider.CUDA: (Precision.FP16, Precision.FP32),
    Provider.CPU: (Precision.INT8, Precision.FP32),
}
LIBRARIES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "onnxruntime-gpu", "tokenizers")


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
    """What a difference is measured in (see `repository.tolerances.answer_unit`)."""

    @property
    def tolerance(self) -> Tolerance:
        """What it may differ from PyTorch by."""
        return TOLERANCES[self.provider, self.precision].scaled(self.unit)

    def violations(self, tolerance: Tolerance | None = None) -> list[str]:
        """What is outside the tolerance, its precision's own if none is given."""
        tolerance = tolerance.scaled(self.unit) if tolerance else self.tolerance
        found = violations(self.parity, self.evaluation, tolerance)
        if self.sweep is None:
            return found
        return [*found, *sweep_violations(self.sweep, tolerance, self.parity.max_logit_difference)]


def build_version(
    checkpoint: Checkpoint,
    precision: Precision | None,
    reference: Reference,
    calibration: Sequence[str],
    output: Path,
    step: Step,
    force: bool = False,
    embedded_limit_bytes: int = EMBEDDED_LIMIT_BYTES,
    reason: str = "asked for",
    golden: Reference | Literal["compared"] | None = "compared",
) -> tuple[Manifest, list[Candidate]]:
    """Export, check and write `output`, whole or not at all; an older `output` is replaced only by a good one.

    Args:
        checkpoint: what to export.
        precision: number format, or None to choose (fp16 on CUDA, else int8 if it is as right, else fp32).
        reference: PyTorch's answers to compare with.
        calibration: sentences that int8 sets its scales by, none of them in `reference`.
        output: version folder to write.
        step: opens a progress bar.
        force: write it although it is outside the tolerance; the manifest tells.
        embedded_limit_bytes: size from which the weights are written to a file beside the graph.
        reason: why `precision`, if that is given.
        golden: answers of which golden sentences are chosen; by default of `reference`. None: the version has none.

    Returns:
        The manifest written, and every candidate that was measured.

    Raises:
        ExportError: the graph cannot be made, or it is outside the tolerance of its precision.
    """
    output = output.absolute()  # fusion works from another folder
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        scratch = Path(temporary)
        texts = ask_pytorch(checkpoint, reference.sentences, step)
        with step("Tracing the graph", 1) as advance:
            raw = export_graph(checkpoint, scratch)
            # The weights are on the disk now, and PyTorch has answered: let its copy of them go.
            checkpoint.model.to("meta")
            advance(1)

        provider = Provider.CUDA if cuda_serves() else Provider.CPU

        def candidate(wanted: Precision) -> Candidate:
            with _refusal_in_one_line(wanted):
                measured = _candidate(checkpoint, wanted, raw, reference, calibration, step, embedded_limit_bytes)
                return replace(measured, sweep=sweep(measured.folder, checkpoint, texts, step), provider=provider)

        if precision is None:
            chosen, reason, candidates = _choose(candidate, provider)
        else:
            chosen = candidate(precision)
            candidates = [chosen]
        found = _refuse_or_force(chosen, force)
        write_evidence(chosen, checkpoint, reference if golden == "compared" else golden, found)
        manifest = _manifest(checkpoint, chosen, reason).model_copy(update={"forced": found})
        manifest.write(chosen.folder)
        _replace(chosen.folder, output)
    return manifest, candidates


def _choose(candidate: Callable[[Precision], Candidate], provider: Provider) -> tuple[Candidate, str, list[Candidate]]:
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
def _refusal_in_one_line(precision: Precision) -> Iterator[None]:
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


def _candidate(
    checkpoint: Checkpoint,
    precision: Precision,
    raw: Path,
    reference: Reference,
    calibration: Sequence[str],
    step: Step,
    embedded_limit_bytes: int,
) -> Candidate:
    folder = raw.parent / precision.value
    folder.mkdir()
    with step(f"Optimizing for {precision.value}", 1) as advance:
        optimized = optimize_graph(raw, checkpoint.model.config)
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
    unit = answer_unit(reference.text_logits, checkpoint.problem_type)
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


def _refuse_or_force(chosen: Candidate, force: bool) -> list[str]:
    """What is outside the tolerance, if that is to be overlooked. Raises ExportError if not, or if nothing can be."""
    found = chosen.violations()
    if not found:
        return []
    because = f"{chosen.precision.value} does not answer as PyTorch does: {'; '.join(found)}"
    if not math.isfinite(chosen.parity.max_logit_difference):
        raise ExportError(f"{because}. It has no answers that could be served; --force does not help.")
    if not force:
        raise ExportError(f"{because}. Give another --precision, or --force to write it all the same.")
    return found


def _manifest(checkpoint: Checkpoint, chosen: Candidate, reason: str) -> Manifest:
    opset, ir_version = check_graph(chosen.folder / MODEL_FILE)
    return Manifest(
        source=checkpoint.name,
        labels=checkpoint.labels,
        problem_type=checkpoint.problem_type,
        max_length=checkpoint.max_length,
        model_max_length=checkpoint.own_max_length,
        pad_token_id=checkpoint.pad_token_id,
        token_types=checkpoint.token_types,
        precision=chosen.precision,
        precision_reason=reason,
        opset=opset,
        ir_version=ir_version,
        parity=chosen.parity,
        evaluation=chosen.evaluation,
        library_versions=_library_versions(),
        files={path.name: digest_file(path) for path in sorted(chosen.folder.iterdir())},
    )


def _library_versions() -> dict[str, str]:
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    # The distribution's metadata may lack the build (+cpu, +cu130), which matters for parity.
    versions["torch"] = str(torch.__version__)
    return versions


def _replace(finished: Path, output: Path) -> None:
    if output.exists():
        retired = finished.parent / "retired"
        output.rename(retired)
        try:
            finished.rename(output)
        except OSError:
            retired.rename(output)
            raise
        shutil.rmtree(retired)
    else:
        finished.rename(output)
