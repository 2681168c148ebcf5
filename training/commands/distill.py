"""`python -m training distill`: teaches a student of fewer layers to answer as a checkpoint does."""

from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import typer

from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, fail, one_line
from repository.option_class import takes_option_class
from training.commands.distill_options import DistillOptions
from training.commands.messages import announce, how_to_go_on, tell_data, tell_report
from training.commands.teacher import as_teacher, data_of
from training.commands.train_checks import UserError
from training.data.load import DataError, TrainingData
from training.data.unlabelled import OtherTexts, other_texts
from training.tracking import log as tracking

if TYPE_CHECKING:  # torch takes seconds to import: --help and a bad file are answered before
    from training.fit.checkpoints import Run
    from training.fit.distill import Distilled, Teacher
    from training.report.asked import Checkpoint

errors = Console(stderr=True)


@takes_option_class
def distill_classifier(given: DistillOptions) -> None:
    """Teach a student, a smaller classifier, to answer as a checkpoint does.

    It begins with some of the teacher's layers: several ways to choose them are tried for a few steps. With --layers 0
    it has none, but a vector for each token (static embeddings), and takes a few hundredths of the teacher's time. Then
    it learns the teacher's answers and what its layers give, on the training texts, on those of --unlabelled, and on
    others that are made of them. The epoch that is best on validation is kept. What the teacher was validated and
    tested on stays that.

    python -m training distill --teacher checkpoints/classifier --layers 6

    The result is a checkpoint like any other, to be exported and served.

    Exit status: 0 done, 1 the disk is full or gone, 2 something you gave can't be used (one line says what),
    130 interrupted (nothing is written to the output; --resume goes on).
    """
    start = perf_counter()
    output = given.output.absolute()
    try:
        if given.layers == 0 and given.hidden_weight:
            raise UserError("--hidden-weight: a student with --layers 0 has no layers; leave one of the two out.")
        checkpoint = _opened(given.teacher, output)
        teacher = as_teacher(checkpoint, given.layers)
        data, notes = data_of(given, checkpoint)
        tell_data(data)
        for note in notes:
            errors.print(note)
        recombine = bool(data.columns.group_title) if given.recombine is None else given.recombine
        others = other_texts(data, given.unlabelled or (), recombine, given.seed, given.pieces_each)
        _tell_others(others)
        found = _run(data, teacher, others, given, output, start)
    except (DataError, UserError) as error:
        fail(one_line(error))
    except OSError as error:  # a full disk, a folder that was taken away
        fail(f"{one_line(error)}; nothing was written to {output}.", FAILED)
    except KeyboardInterrupt:
        errors.print(f"Interrupted: nothing was written to {output}{how_to_go_on(output)}.")
        raise typer.Exit(INTERRUPTED) from None
    else:
        tell_report(found, output)
        if tracking.is_wanted(given.track):
            tracking.track(output)


def _opened(teacher: str, output: Path) -> "Checkpoint":
    from training.commands.output import OutputError, check_output
    from training.report.asked import UnusableError, open_checkpoint

    if Path(teacher).resolve() == output.resolve():
        raise UserError(f"the student would take the teacher's place at {output}: name another --output.")
    try:
        check_output(output)
        with errors.doing("Loading the teacher…"):
            return open_checkpoint(teacher)
    except (OutputError, UnusableError) as error:
        raise UserError(str(error)) from None


def _tell_others(others: OtherTexts) -> None:
    counts = [f"{others.unlabelled} without a label"] if others.unlabelled else []
    counts += [f"{others.recombined} recombined"] if others.recombined else []
    counts += [f"{others.pieces} pieces of them"] if others.pieces else []
    left_out = f"; {others.held_out} are held out and not learned from" if others.held_out else ""
    if counts or left_out:
        Console().print(f"Beside these texts: {', '.join(counts) or 'none'}{left_out}.")


def _run(
    data: TrainingData,
    teacher: "Teacher",
    others: OtherTexts,
    given: DistillOptions,
    output: Path,
    start: float,
) -> dict[str, Any]:
    """Teach, evaluate and write the output folder; return the report."""
    from training.commands.output import whole_or_nothing
    from training.fit.checkpoints import ResumeError, description_of, run_folder
    from training.fit.saving import save_checkpoint
    from training.report.distilled import distilled_report
    from training.report.files import write_predictions, write_report

    settings = given.settings
    description = {**description_of(settings, data, teacher.base), "unlabelled texts": others.digest}
    try:
        with run_folder(output, description, given.resume) as run:
            announce(run, given.resume)
            distilled = _distilled(data, teacher, others, given, run)
            report = distilled_report(data, teacher, asdict(settings), distilled, others)
            with whole_or_nothing(output) as work:
                report["seconds"]["total"] = round(perf_counter() - start, 1)
                save_checkpoint(distilled.trained, work / "checkpoint", teacher.base.longest)
                data.record.write(work / "checkpoint")
                write_predictions(data, distilled.trained.logits["test"], work / "checkpoint")
                write_report(report, work / "checkpoint", given.report, output.name, given.license_id)
    except ResumeError as error:
        raise UserError(str(error)) from None
    return report


def _distilled(
    data: TrainingData, teacher: "Teacher", others: OtherTexts, given: DistillOptions, run: "Run"
) -> "Distilled":
    from training.fit.distill import distil
    from training.fit.layers import LayersError
    from training.fit.predict import DivergedError
    from training.fit.trainer import refused_precision

    if reason := refused_precision(given.settings.mixed_precision):
        raise UserError(f"{reason}.")
    try:
        return distil(data, teacher, others.texts, given.settings, run, Console())
    except LayersError as error:
        raise UserError(str(error)) from None
    except DivergedError as error:
        run.discard()  # going on would end as it did
        raise UserError(
            f"training diverged ({error}), so nothing was written: give a lower --learning-rate than "
            f"{given.settings.learning_rate:g}."
        ) from None
