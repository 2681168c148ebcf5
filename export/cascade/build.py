"""Puts a student into a version folder: its graph, its golden sentences, and what the manifest says of it."""

import json
import shutil
from pathlib import Path
from typing import Any

from export import ExportError
from export.checkpoint.load import Checkpoint
from export.parity.report import PARITY_FILE
from repository.cascade import STUDENT_FILE, STUDENT_GOLDEN_FILE, STUDENT_PARITY_FILE, Cascade
from repository.golden import GOLDEN_FILE
from repository.manifest import MODEL_FILE, Manifest, ProblemType, digest_file

# What a student has of its own in a version; all else is the model's.
_FILES = {MODEL_FILE: STUDENT_FILE, GOLDEN_FILE: STUDENT_GOLDEN_FILE, PARITY_FILE: STUDENT_PARITY_FILE}
# Of a tokenizer's file; the gateway sets both by the manifest.
_SET_LATER = ("truncation", "padding")


def require_fit(model: Checkpoint, student: Checkpoint) -> None:
    """Raise ExportError unless both read the same tokens and answer the same labels, of which one is right."""
    name = student.name
    if model.problem_type is not ProblemType.SINGLE_LABEL:
        raise ExportError("--cascade is for models that answer one label")
    if student.problem_type is not ProblemType.SINGLE_LABEL or student.labels != model.labels:
        raise ExportError(f"--cascade {name}: its labels, or their order, are not those of {model.name}")
    if _tokenizer(model) != _tokenizer(student):
        raise ExportError(f"--cascade {name}: its tokenizer is not that of {model.name}; distill one with the same")
    ways = [(each.pad_token_id, each.token_types, each.max_length) for each in (model, student)]
    if ways[0] != ways[1]:
        raise ExportError(f"--cascade {name}: it pads, marks pairs or cuts texts otherwise than {model.name}")


def add_student(version: Path, student: Path, cascade: Cascade) -> Manifest:
    """Put the graph of the version folder `student` into that of the model; returns the manifest written.

    Raises:
        ExportError: the student's graph has its weights in a second file, which has no place here.
    """
    manifest, own = Manifest.read(version), Manifest.read(student)
    beside = [name for name in own.files if name.startswith(MODEL_FILE) and name != MODEL_FILE]
    if beside:
        raise ExportError(f"the student has its weights in {beside[0]}: a student of 2 GB is none")
    files = dict(manifest.files)
    for name, target in _FILES.items():
        if name in own.files:
            shutil.copyfile(student / name, version / target)
            files[target] = digest_file(version / target)
    forced = [*manifest.forced, *(f"the student: {found}" for found in own.forced)]
    update = {"cascade": cascade, "files": dict(sorted(files.items())), "forced": forced}
    manifest = manifest.model_copy(update=update)
    manifest.write(version)
    return Manifest.read(version)


def _tokenizer(checkpoint: Checkpoint) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(checkpoint.tokenizer.backend_tokenizer.to_str())
    return {key: value for key, value in content.items() if key not in _SET_LATER}
