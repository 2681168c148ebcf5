"""`python -m export export --cascade`: exports a student with the model, and chooses from when on it may answer."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from export import ExportError
from repository.cascade import Cascade
from repository.console import Console
from repository.manifest import Manifest

if TYPE_CHECKING:  # importing PyTorch takes seconds
    from export.checkpoint.load import Checkpoint
    from export.texts.data_file import DataFile
    from export.version.automatic import Choice

    Build = Callable[[Checkpoint, Path], tuple[Manifest, Choice]]

out = Console()
errors = Console(stderr=True)


def load_student(source: str, model: "Checkpoint", trust_remote_code: bool) -> "Checkpoint":
    """The student, cut where the model is cut. Raises ExportError: it does not fit the model."""
    from export.cascade.build import require_fit
    from export.checkpoint.load import load_checkpoint

    student = load_checkpoint(source, trust_remote_code, model.max_length, model.labels)
    require_fit(model, student)
    return student


def build_with_student(
    builds: "tuple[Build, Build]",
    student: "Checkpoint",
    read: "Mapping[str, DataFile]",
    scales: Sequence[str],
    delta: float,
    loaded: "Checkpoint",
    output: Path,
) -> "tuple[Manifest, Choice]":
    """Write the model's version with a student in it, or without one where none may answer.

    Args:
        builds: write the version folder of the student and of the model. The student's comes first: it is soon done,
            or refused.
        student: the student.
        read: the files of sentences, by the options that named them.
        scales: sentences that set int8's scales.
        delta: most of all sentences on which the student may answer otherwise.
        output: version folder to write, whole or not at all.

    Returns:
        The manifest written, and how the model's precision was chosen.
    """
    from export.cascade.bars import NoCascadeError
    from export.cascade.build import add_student
    from export.cascade.choice import choose_cascade
    from export.texts.cascade_sentences import cascade_sentences
    from export.version.placing import put_in_place

    sentences = cascade_sentences(read, (loaded.split, student.split), scales)
    output = output.absolute()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        model_folder, student_folder = Path(scratch, "model"), Path(scratch, "student")
        try:
            builds[0](student, student_folder)
        except ExportError as error:
            raise ExportError(f"the student: {error}") from None
        manifest, choice = builds[1](loaded, model_folder)
        try:
            cascade = choose_cascade(model_folder, student_folder, sentences, delta, out.progress)
        except NoCascadeError as error:
            errors.print(f"No cascade, the model answers alone: {error}.")
        else:
            manifest = add_student(model_folder, student_folder, cascade)
            out.print(f"Cascade. {summary(cascade)}")
        put_in_place(model_folder, output)
    return manifest, choice


def summary(cascade: Cascade) -> str:
    """The student's promise, and how it was found."""
    chosen = cascade.bars[0]
    lines = [
        f"From confidence {chosen.bar:.4g} on the student answers, that is {chosen.coverage:.1%} of the sentences. "
        f"It differs from the model on {chosen.disagreed} of {chosen.sentences} ({cascade.origin}), at most "
        f"{chosen.upper_bound:.2%} of all with 95 % confidence; {cascade.delta:.2%} allowed. It takes "
        f"{cascade.cost:.0%} of the model's time."
    ]
    if cascade.test is not None:
        accuracy = ""
        if cascade.test_accuracy is not None and cascade.model_accuracy is not None:
            accuracy = f", accuracy {cascade.test_accuracy:.4f} (model alone {cascade.model_accuracy:.4f})"
        lines.append(
            f"On {cascade.test.sentences} other sentences: {cascade.test.coverage:.1%} answered, "
            f"{cascade.test.disagreed} otherwise{accuracy}."
        )
    return "\n".join(lines)
