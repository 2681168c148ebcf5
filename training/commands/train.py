"""`python -m training train`: fine-tunes a classifier on a table of texts and writes a checkpoint with its figures."""

from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import typer

from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, fail, one_line
from repository.option_class import takes_option_class
from training.commands.messages import announce, how_to_go_on, tell_data, tell_report
from training.commands.train_checks import UserError, check_settings, check_start
from training.commands.train_options import DEFAULTS, TrainOptions
from training.data.load import DataError, TrainingData
from training.encoders.base_folder import BaseModelError
from training.report.settings import ReportSettings
from training.settings import Settings
from training.tracking import log as tracking

if TYPE_CHECKING:  # torch takes seconds to import: --help and a bad file are answered before
    from training.encoders.base_model import BaseModel
    from training.fit.checkpoints import Run
    from training.fit.train import TrainedModel

errors = Console(stderr=True)


@takes_option_class
def train_classifier(given: TrainOptions) -> None:
    """Fine-tune a text classifier.

    Without files of their own for it, 15 % of the groups choose the best epoch and 15 % test the result; the same on
    each run, and copies of a group share its split. The checkpoint keeps which groups it was tested on (split.json),
    so that the export tests on the same. It can be loaded by any Hugging Face tool. Without options, the sample's mind
    maps are trained on, which takes a few minutes on two CPU cores: a text is an idea's title and its map's title, the
    label is the map's category. Any other table:

    python -m training --data reviews.csv --text title --text body --label stars --group author

    Exit status: 0 done, 1 the disk is full or gone, 2 something you gave can't be used (one line says what),
    130 interrupted (nothing is written to the output; --resume goes on).
    """
    start = perf_counter()
    output = given.output.absolute()
    try:
        check_start(given.from_version, given.base_model)
        data = given.read(given.split.value)
        tell_data(data)
        settings = given.settings(len(data.splits["train"]))
        check_settings(settings, data, given.trials)
        base = _checked_base_model(given.base_model, given.from_version, output, settings)
        data = _without_what_was_seen(data, base)
        if given.feedback is not None:
            data = _with_feedback(data, given.feedback)
        base = _with_vocabulary(base, data, settings)
        found = _run(data, base, settings, output, given.written(), given.resume, given.trials, start)
    except (DataError, UserError) as error:
        fail(one_line(error))
    except OSError as error:  # a full disk, a folder that was taken away
        fail(f"{one_line(error)}; nothing was written to {output}.", FAILED)
    except KeyboardInterrupt:
        errors.print(f"Interrupted: nothing was written to {output}{how_to_go_on(output, given.trials)}.")
        raise typer.Exit(INTERRUPTED) from None
    else:
        tell_report(found, output)
        if tracking.is_wanted(given.track):
            tracking.track(output)


def _checked_base_model(name: str | None, version: str | None, output: Path, settings: Settings) -> "BaseModel":
    """Check all that the data doesn't decide, before the first long step; return the base model."""
    from training.commands.from_version import VersionError, base_of_version
    from training.commands.output import OutputError, check_output
    from training.encoders.base_model import read_base_model

    try:
        check_output(output)
        base = base_of_version(version, output) if version else read_base_model(name)
    except (BaseModelError, OutputError, VersionError) as error:
        raise UserError(str(error)) from None
    max_length = settings.max_length
    if max_length > base.longest and max_length != DEFAULTS.max_length:
        raise UserError(f"--max-length {max_length} is more than {base.name} can take: {base.longest} tokens.")
    return replace(base, sequence_limit=max(base.sequence_limit, min(max_length, base.longest)))


def _without_what_was_seen(data: TrainingData, base: "BaseModel") -> TrainingData:
    from training.fit.warm_start import known_labels, without_what_was_seen

    data, notes = without_what_was_seen(data, base.name)
    for note in notes:
        errors.print(note)
    if known := known_labels(base.config, data.labels, data.task):
        Console().print(f"{base.name} keeps its classifier for {len(known)} of {len(data.labels)} labels.")
    return data


def _with_feedback(data: TrainingData, source: str) -> TrainingData:
    """Last of all that changes the splits: no text of it may be dealt to one that is held out."""
    from training.data.feedback import with_feedback

    data, counts = with_feedback(data, source)
    Console().print(counts.told())
    return data


def _with_vocabulary(base: "BaseModel", data: TrainingData, settings: Settings) -> "BaseModel":
    from training.encoders.vocabulary import VocabularyError, trimmed

    try:
        fitted = trimmed(base, [example.text for example in data.splits["train"]], settings.vocabulary)
    except VocabularyError as error:
        raise UserError(str(error)) from None
    if fitted.rows is not None:
        Console().print(f"Vocabulary: {len(fitted.rows):,} of {base.config.vocab_size:,} pieces are kept.")
    return fitted


def _run(
    data: TrainingData,
    base: "BaseModel",
    settings: Settings,
    output: Path,
    written: ReportSettings,
    resume: bool,
    trials: int | None,
    start: float,
) -> dict[str, Any]:
    """Train, evaluate and write the output folder; return the report."""
    from training.commands.from_version import kept_start
    from training.commands.output import whole_or_nothing
    from training.fit.checkpoints import ResumeError, description_of, run_folder
    from training.fit.saving import save_checkpoint
    from training.report.evaluate import training_report
    from training.report.files import write_predictions, write_report

    try:
        description = description_of(settings, data, base)
        with run_folder(output, {**description, "number of trials": trials}, resume) as run:
            announce(run, resume and not trials)
            found = None
            if trials:
                settings, found = _searched(data, base, settings, trials, output, run, resume)
            trained = _trained(data, base, settings, run)
            report = training_report(data, base, asdict(settings), trained, written.baseline)
            report["trials"] = found
            with whole_or_nothing(output, kept_start(base, output)) as work:
                report["seconds"]["total"] = round(perf_counter() - start, 1)
                save_checkpoint(trained, work / "checkpoint", base.longest)
                data.record.write(work / "checkpoint")
                write_predictions(data, trained.logits["test"], work / "checkpoint")
                write_report(report, work / "checkpoint", written.kind, output.name, written.license_id)
    except ResumeError as error:
        raise UserError(str(error)) from None
    return report


def _searched(
    data: TrainingData,
    base: "BaseModel",
    settings: Settings,
    trials: int,
    output: Path,
    run: "Run",
    resume: bool,
) -> tuple[Settings, dict[str, Any]]:
    from training.fit.trials import NoTrialError, search, trials_file

    if trials_file(output).exists() and not resume:
        errors.print("Warning: trials of an earlier run are there: --resume continues them. These are new ones.")
    try:
        return search(data, base, settings, trials, output, run, resume, Console())
    except NoTrialError as error:
        raise UserError(f"{error}.") from None


def _trained(data: TrainingData, base: "BaseModel", settings: Settings, run: "Run") -> "TrainedModel":
    from training.fit.lora import LoraError
    from training.fit.predict import DivergedError
    from training.fit.train import fine_tune

    try:
        if settings.few_shot:
            from training.fit.few_shot import tune_few_shot

            return tune_few_shot(data, base, settings, Console())
        return fine_tune(data, base, settings, run, Console())
    except LoraError as error:
        raise UserError(f"{error}.") from None
    except BaseModelError as error:
        raise UserError(str(error)) from None
    except DivergedError as error:
        run.discard()  # going on would end as it did
        raise UserError(
            f"training diverged ({error}), so nothing was written: give a lower --learning-rate than "
            f"{settings.learning_rate:g}."
        ) from None
