"""Builds a version folder: graph, tokenizer and manifest, in the precision that passes its checks."""

import importlib.metadata
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch

from export import ExportError
from export.checkpoint import Checkpoint
from export.graph import check_graph, export_graph, optimize_graph
from export.parity import AUTO_INT8, TOLERANCES, Advance, Reference, Tolerance, encode, measure, violations
from export.precision import cuda_serves, write_precision
from repository.manifest import MODEL_FILE, TOKENIZER_FILE, Evaluation, Manifest, Parity, Precision, digest_file

Step = Callable[[str, int], AbstractContextManager[Advance]]
"""Opens a progress bar: description and total in, a function that advances it out."""

LIBRARIES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "onnxruntime-gpu", "tokenizers")


@dataclass(frozen=True)
class Candidate:
    """A graph in one precision, with what was measured of it."""

    precision: Precision
    folder: Path
    parity: Parity
    evaluation: Evaluation | None
    size_bytes: int

    def violations(self, tolerance: Tolerance | None = None) -> list[str]:
        """What is outside the tolerance, its precision's own if none is given."""
        return violations(self.parity, self.evaluation, tolerance or TOLERANCES[self.precision])


def build_version(
    checkpoint: Checkpoint,
    precision: Precision | None,
    reference: Reference,
    calibration: Sequence[str],
    output: Path,
    step: Step,
) -> tuple[Manifest, list[Candidate]]:
    """Export, check and write `output`, whole or not at all; an older `output` is replaced only by a good one.

    Args:
        checkpoint: what to export.
        precision: number format, or None to choose (fp16 on CUDA, else int8 if it is as right, else fp32).
        reference: PyTorch's answers to compare with.
        calibration: sentences that int8 sets its scales by, none of them in `reference`.
        output: version folder to write.
        step: opens a progress bar.

    Returns:
        The manifest written, and every candidate that was measured.

    Raises:
        ExportError: the graph cannot be made, or it is outside the tolerance of its precision.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        scratch = Path(temporary)
        with step("Tracing the graph", 1) as advance:
            raw = export_graph(checkpoint, scratch)
            advance(1)

        def candidate(wanted: Precision) -> Candidate:
            return _candidate(checkpoint, wanted, raw, reference, calibration, step)

        if precision is None:
            chosen, reason, candidates = _choose(candidate)
        else:
            chosen = candidate(precision)
            reason, candidates = "asked for", [chosen]
        if found := chosen.violations():
            raise ExportError(f"{chosen.precision.value} does not answer as PyTorch does: {'; '.join(found)}")
        manifest = _manifest(checkpoint, chosen, reason)
        manifest.write(chosen.folder)
        _replace(chosen.folder, output)
    return manifest, candidates


def _choose(candidate: Callable[[Precision], Candidate]) -> tuple[Candidate, str, list[Candidate]]:
    """What `--precision auto` means; what is right comes before what is fast."""
    if cuda_serves():
        half = candidate(Precision.FP16)
        if not (found := half.violations()):
            return half, "auto: CUDA serves here and fp16 is within its tolerance", [half]
        full = candidate(Precision.FP32)
        return full, f"auto: fp16 is outside its tolerance ({'; '.join(found)})", [half, full]
    try:
        small = candidate(Precision.INT8)
    except ExportError as error:
        full = candidate(Precision.FP32)
        return full, f"auto: no CUDA here, and no int8 ({error})", [full]
    if not (found := small.violations(AUTO_INT8)):
        return small, "auto: no CUDA here, and int8 answers as fp32 does", [small]
    full = candidate(Precision.FP32)
    return full, f"auto: no CUDA here, and int8 is not right enough ({'; '.join(found)})", [small, full]


def _candidate(
    checkpoint: Checkpoint,
    precision: Precision,
    raw: Path,
    reference: Reference,
    calibration: Sequence[str],
    step: Step,
) -> Candidate:
    folder = raw.parent / precision.value
    folder.mkdir()
    with step(f"Optimizing for {precision.value}", 1) as advance:
        optimized = optimize_graph(raw, checkpoint.model.config)
        ids = [encode(checkpoint, sentence) for sentence in calibration] if precision is Precision.INT8 else []
        write_precision(optimized, precision, folder / MODEL_FILE, raw.parent, ids, checkpoint.pad_token_id)
        advance(1)
    check_graph(folder / MODEL_FILE)
    tokenizer = checkpoint.tokenizer.backend_tokenizer
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.save(str(folder / TOKENIZER_FILE))
    with step(f"Comparing {precision.value} with PyTorch", 2 * len(reference.sentences)) as advance:
        parity, evaluation = measure(folder, checkpoint, reference, advance)
    return Candidate(precision, folder, parity, evaluation, (folder / MODEL_FILE).stat().st_size)


def _manifest(checkpoint: Checkpoint, chosen: Candidate, reason: str) -> Manifest:
    opset, ir_version = check_graph(chosen.folder / MODEL_FILE)
    return Manifest(
        source=checkpoint.name,
        labels=checkpoint.labels,
        problem_type=checkpoint.problem_type,
        max_length=checkpoint.max_length,
        pad_token_id=checkpoint.pad_token_id,
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
