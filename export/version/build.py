"""Builds a version folder: graph, tokenizer and manifest, in the precision that passes its checks."""

import importlib.metadata
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch

from export import ExportError, Step
from export.checkpoint.load import Checkpoint
from export.graph.build import check_graph, export_graph
from export.graph.weights import EMBEDDED_LIMIT_BYTES
from export.parity.measure import Reference
from export.parity.sweep import ask_pytorch
from export.precision.formats import provider_here
from export.texts.sentences import ProfiledTexts
from export.version.automatic import Choice, Judging, choose
from export.version.candidate import Candidate, Workshop
from export.version.evidence import write_evidence
from export.version.placing import put_in_place
from export.version.profile import profile_of
from repository.manifest import (
    MODEL_FILE,
    Manifest,
    Precision,
    digest_file,
)

LIBRARIES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime", "onnxruntime-gpu", "tokenizers")


def build_version(
    checkpoint: Checkpoint,
    precision: Precision | Judging,
    reference: Reference,
    calibration: Sequence[str],
    output: Path,
    step: Step,
    force: bool = False,
    embedded_limit_bytes: int = EMBEDDED_LIMIT_BYTES,
    reason: str = "asked for",
    golden: Reference | Literal["compared"] | None = "compared",
    finish: Callable[[Path], Manifest | None] = lambda _: None,
    profiled: ProfiledTexts | None = None,
) -> tuple[Manifest, Choice]:
    """Export, check and write `output`, whole or not at all; an older `output` is replaced only by a good one.

    Args:
        checkpoint: what to export.
        precision: number format, or what to choose it by (`export.version.automatic.choose`).
        reference: PyTorch's answers to compare with.
        calibration: sentences that int8 sets its scales by and fp16's ranges are measured on, none of them compared.
        output: version folder to write.
        step: opens a progress bar.
        force: write it although it is outside the tolerance; the manifest tells.
        embedded_limit_bytes: size from which the weights are written to a file beside the graph.
        reason: why `precision`, if that is given.
        golden: answers of which golden sentences are chosen; by default of `reference`. None: the version has none.
        finish: adds to the folder before it is put in place; returns the manifest that it wrote, if it did.
        profiled: texts like those it was trained on, to count what they are like; None: the version has no profile.

    Returns:
        The manifest written, and how its precision was chosen.

    Raises:
        ExportError: the graph cannot be made, or it is outside the tolerance of its precision.
    """
    output = output.absolute()  # fusion works from another folder
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as temporary:
        texts = ask_pytorch(checkpoint, _chosen_by(precision, reference).sentences, step)
        raw = _traced(checkpoint, Path(temporary), step)
        workshop = Workshop(checkpoint, raw, calibration, texts, provider_here(), step, embedded_limit_bytes)
        choice = _choice(workshop, precision, reference, reason)
        found = _refuse_or_force(choice.chosen, force)
        write_evidence(choice.chosen, checkpoint, reference if golden == "compared" else golden, found)
        _write_profile(checkpoint, choice.chosen.folder, profiled, reference)
        written = _write_manifest(checkpoint, choice, found)
        manifest = finish(choice.chosen.folder) or written
        put_in_place(choice.chosen.folder, output)
    return manifest, choice


def _chosen_by(precision: Precision | Judging, reference: Reference) -> Reference:
    """Sentences that a precision is chosen by are not those that it is reported on, where there are others."""
    return (precision.reference if isinstance(precision, Judging) else None) or reference


def _write_profile(checkpoint: Checkpoint, folder: Path, profiled: ProfiledTexts | None, reference: Reference) -> None:
    if profiled is not None:
        profile_of(checkpoint, folder, profiled, reference).write(folder)


def _choice(workshop: Workshop, precision: Precision | Judging, reference: Reference, reason: str) -> Choice:
    if isinstance(precision, Judging):
        return choose(workshop, precision, reference)
    return Choice(workshop.candidate(precision, reference), [reason])


def _traced(checkpoint: Checkpoint, scratch: Path, step: Step) -> Path:
    """Trace the graph, and let PyTorch's copy of the weights go: they are on the disk, and PyTorch has answered."""
    with step("Tracing the graph", 1) as advance:
        raw = export_graph(checkpoint, scratch)
        checkpoint.model.to("meta")
        advance(1)
    return raw


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


def _write_manifest(checkpoint: Checkpoint, choice: Choice, forced: list[str]) -> Manifest:
    chosen = choice.chosen
    opset, ir_version = check_graph(chosen.folder / MODEL_FILE)
    manifest = Manifest(
        source=checkpoint.name,
        labels=checkpoint.labels,
        problem_type=checkpoint.problem_type,
        max_length=checkpoint.max_length,
        model_max_length=checkpoint.own_max_length,
        pad_token_id=checkpoint.pad_token_id,
        token_types=checkpoint.token_types,
        precision=chosen.precision,
        precision_reason=choice.reason,
        opset=opset,
        ir_version=ir_version,
        parity=chosen.parity,
        evaluation=chosen.evaluation,
        judgements=choice.judgements,
        library_versions=_library_versions(),
        files={path.name: digest_file(path) for path in sorted(chosen.folder.iterdir())},
        forced=forced,
    )
    manifest.write(chosen.folder)
    return manifest


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
