"""Which teacher, and which texts does a student learn from: split as they were for the teacher, by its labels."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from training import SAMPLE_DATA
from training.commands.distill_options import DistillOptions
from training.commands.train_checks import UserError
from training.data.columns import Wanted
from training.data.load import SPLIT_NAMES, DataError, SplitKind, TrainingData, load_data
from training.data.split_record import SplitRecord

if TYPE_CHECKING:  # torch takes seconds to import
    from training.fit.distill import Teacher
    from training.report.asked import Checkpoint


def as_teacher(checkpoint: "Checkpoint", wanted_layers: int) -> "Teacher":
    """Return a checkpoint as a teacher.

    Raises:
        UserError: its layers can't be cut out, or are no more than is wanted.
    """
    from training.encoders.base_model import BaseModel
    from training.fit.distill import Teacher, check_layers
    from training.fit.layers import LayersError

    base = BaseModel(
        name=str(checkpoint.report_folder),
        config=checkpoint.model.config,
        tokenizer=checkpoint.tokenizer,
        sequence_limit=checkpoint.max_length,
        longest=checkpoint.own_max_length or checkpoint.max_length,
        pools_by_mean=False,
    )
    teacher = Teacher(checkpoint.name, checkpoint.model, base)
    try:
        check_layers(teacher, wanted_layers)
    except LayersError as error:
        raise UserError(str(error)) from None
    return teacher


def data_of(given: DistillOptions, checkpoint: "Checkpoint") -> tuple[TrainingData, list[str]]:
    """Return the labelled texts, and what is to be said of them.

    Nothing that the teacher was validated or tested on is trained on.

    Raises:
        DataError: they can't be read, have other labels, or nobody can say which of them the teacher was tested on.
    """
    record = checkpoint.split
    kind: SplitKind = "rows" if record is not None and record.kind == "rows" else "groups"
    data = load_data(
        given.data or [_data_of_teacher(checkpoint.name, record)],
        kind,
        _wanted(given, checkpoint),
        given.validation or (),
        given.test or (),
    )
    data, notes = _as_for_the_teacher(data, checkpoint)
    known = set(checkpoint.labels)
    for example in (example for name in SPLIT_NAMES for example in data.splits[name]):
        if unknown := sorted(set(example.labels) - known):
            raise DataError(
                f"{data.name}: row {example.row}, column {data.columns.label}: {checkpoint.name} knows no class "
                f"{unknown[0]}; a student learns the labels of its teacher."
            )
    return replace(data, order=tuple(checkpoint.labels)), notes


def _wanted(given: DistillOptions, checkpoint: "Checkpoint") -> Wanted:
    """What is meant: as the options say, else as the teacher was trained."""
    own, task = given.wanted, checkpoint.problem_type
    if own.task not in (None, task):
        raise DataError(f"--task {given.task.value}: {checkpoint.name} does {task.value}, and so does its student.")
    usual = checkpoint.split.wanted if checkpoint.split else Wanted()
    return Wanted(
        own.text or usual.text,
        own.label or usual.label,
        own.group or usual.group,
        own.language or usual.language,
        own.separator or usual.separator,
        task,
    )


def _data_of_teacher(name: str, record: SplitRecord | None) -> str:
    if record is None:
        raise DataError(f"{name} does not say what it was trained on: name labelled texts by --data.")
    if record.sha256 != hashlib.sha256(Path(SAMPLE_DATA).read_bytes()).hexdigest():
        raise DataError(f"{name} was trained on {record.file}: name that file, or other labelled texts, by --data.")
    return str(SAMPLE_DATA)


def _as_for_the_teacher(data: TrainingData, checkpoint: "Checkpoint") -> tuple[TrainingData, list[str]]:
    from training.fit.warm_start import without_what_was_seen

    folder = str(checkpoint.report_folder)
    if checkpoint.split is None:
        note = f"Warning: {checkpoint.name} does not say what it was trained on; its figures may read too well."
        return data, [note]
    found, notes = without_what_was_seen(data, folder)
    notes = [note.replace(folder, checkpoint.name) for note in notes]
    if found.before is None:
        files = checkpoint.split.kind == "files" and data.split_kind != "files"
        advice = "name --validation and --test, too" if files else "give the columns that it was"
        raise DataError(f"{notes[0].removeprefix('Warning: ').partition(';')[0]}; {advice}.")
    return found, notes
