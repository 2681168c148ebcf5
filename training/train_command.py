"""`python -m training train`: fine-tunes a classifier on a table of texts and writes a checkpoint with its figures."""

from dataclasses import asdict, replace
from enum import StrEnum
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repository.console import Console
from training import options
from training.data import DataError, TrainingData
from training.report_settings import UNKNOWN_LICENSE, ReportKind, ReportSettings
from training.settings import Settings

if TYPE_CHECKING:  # torch takes seconds to import: --help and a bad file are answered before
    from training.base_model import BaseModel

REPOSITORY = Path(__file__).resolve().parent.parent
FAILED = 1
USER_MISTAKE = 2
INTERRUPTED = 130  # 128 + SIGINT, as shells count
DEFAULTS = Settings()
errors = Console(stderr=True)


class ClassWeightsOption(StrEnum):
    none = "none"
    balanced = "balanced"


class VocabularyOption(StrEnum):
    trimmed = "trimmed"
    all = "all"


class SplitOption(StrEnum):
    groups = "groups"
    rows = "rows"


def train_classifier(
    data: options.Data = None,
    text: options.Text = None,
    label: options.Label = None,
    group: options.Group = None,
    language: options.Language = None,
    label_separator: options.LabelSeparator = None,
    task: options.Task = options.TaskOption.AUTO,
    validation: options.Validation = None,
    test: options.Test = None,
    base_model: Annotated[
        str | None,
        typer.Option(
            help="Hugging Face model to fine-tune, of an architecture that can be exported: a folder, a hub id, or one "
            "that is installed: multilingual (multilingual-e5-small, a hundred languages) or minilm (all-MiniLM-L6-v2: "
            "half the size, English alone).",
            show_default="multilingual",
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            help="Folder for the checkpoint and its training_report.json. An earlier checkpoint there is replaced "
            "once the new one is whole."
        ),
    ] = REPOSITORY / "checkpoints" / "classifier",
    epochs: Annotated[
        int, typer.Option(min=1, help="Passes over the training texts, at most; few texts (some 700) want six.")
    ] = DEFAULTS.epochs,
    batch_size: Annotated[int, typer.Option(min=1, help="Sentences a training step.")] = DEFAULTS.batch_size,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="Highest rate of the layers; the new head learns faster.")
    ] = DEFAULTS.learning_rate,
    frozen_share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Share of the layers, from the bottom, to leave as they are; quicker."),
    ] = DEFAULTS.frozen_share,
    max_length: Annotated[
        int,
        typer.Option(
            min=8,
            help="Tokens of a training sentence, at most; else the model's own limit holds, or 2048 if that is longer.",
        ),
    ] = DEFAULTS.max_length,
    seed: Annotated[
        int, typer.Option(min=0, help="The same seed on the same machine gives the same model.")
    ] = DEFAULTS.seed,
    patience: Annotated[
        int, typer.Option(min=1, help="Stop after so many epochs without a better macro-F1 on the validation maps.")
    ] = DEFAULTS.patience,
    class_weights: Annotated[
        ClassWeightsOption, typer.Option(help="balanced: an idea of a rare class counts for more.")
    ] = ClassWeightsOption.none,
    vocabulary: Annotated[
        VocabularyOption | None,
        typer.Option(
            help="trimmed: of a SentencePiece vocabulary of the unigram kind, keep the pieces of the training data, "
            "all single characters and the likeliest of the others. A text is split as before or into other known "
            "pieces.",
            show_default="trimmed where it is large and can be",
        ),
    ] = None,
    split: Annotated[
        SplitOption,
        typer.Option(
            help="groups: test on groups (maps) never seen. rows: test on single rows of groups that were trained on, "
            "which reads far too well; only to show the leak."
        ),
    ] = SplitOption.groups,
    baseline: Annotated[
        bool,
        typer.Option(
            help="Fit TF-IDF + a linear model on the same split to compare with, and draw a learning curve: what would "
            "twice the data bring?"
        ),
    ] = True,
    report: options.Report = ReportKind.full,
    license_id: options.License = UNKNOWN_LICENSE,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many training steps, for a quick try.", show_default="no")
    ] = None,
) -> None:
    """Fine-tune a text classifier.

    Without files of their own for it, 15 % of the groups choose the best epoch and 15 % test the result; the same on
    each run, and copies of a group share its split. The checkpoint keeps which groups it was tested on (split.json),
    so that the export tests on the same. It can be loaded by any Hugging Face tool. Without options, the sample's mind
    maps are trained on, which takes a few minutes on two CPU cores: a text is an idea's title and its map's title, the
    label is the map's category. Any other table:

    python -m training --data reviews.csv --text title --text body --label stars --group author

    Exit status: 0 done, 1 the disk is full or gone, 2 something you gave can't be used (one line says what),
    130 interrupted (nothing is written).
    """
    start = perf_counter()
    try:
        training_data = options.read_training_data(
            data, text, label, group, language, label_separator, task, validation, test, split.value
        )
        Console().print(options.summary_of(training_data))
        for warning in training_data.warnings:
            errors.print(f"Warning: {warning}")
        settings = Settings(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            frozen_share=frozen_share,
            max_length=max_length,
            seed=seed,
            patience=patience,
            class_weights=class_weights.value,
            vocabulary=vocabulary.value if vocabulary else None,
            max_steps=max_steps,
        )
        base = _checked_base_model(base_model, output.absolute(), max_length)
        base = _with_vocabulary(base, training_data, settings)
        written = ReportSettings(report, license_id, baseline)
        found = _run(training_data, base, settings, output.absolute(), written, start)
    except (DataError, UserError) as error:
        _fail(str(error), USER_MISTAKE)
    except OSError as error:  # a full disk, a folder that was taken away
        _fail(f"{error}; nothing was written to {output}.", FAILED)
    except KeyboardInterrupt:
        errors.print(f"Interrupted: nothing was written to {output}.")
        raise typer.Exit(INTERRUPTED) from None
    else:
        from training.report import show_report

        console = Console()
        show_report(found, console)
        console.print(f"Checkpoint: {output} ({found['seconds']['total']:.0f} s)")


class UserError(ValueError):
    """Something on the command line can't be used."""


def _fail(reason: str, status: int) -> None:
    errors.error(" ".join(reason.split()))  # what a library says may have several lines
    raise typer.Exit(status)


def _checked_base_model(name: str | None, output: Path, max_length: int) -> "BaseModel":
    """Check all that the data doesn't decide, before the first long step; return the base model."""
    from training.base_model import BaseModelError, read_base_model
    from training.output import OutputError, check_output

    try:
        check_output(output)
        base = read_base_model(name)
    except (BaseModelError, OutputError) as error:
        raise UserError(str(error)) from None
    if max_length > base.longest and max_length != DEFAULTS.max_length:
        raise UserError(f"--max-length {max_length} is more than {base.name} can take: {base.longest} tokens.")
    return replace(base, sequence_limit=max(base.sequence_limit, min(max_length, base.longest)))


def _with_vocabulary(base: "BaseModel", data: TrainingData, settings: Settings) -> "BaseModel":
    from training.vocabulary import VocabularyError, trimmed

    try:
        fitted = trimmed(base, [example.text for example in data.splits["train"]], settings.vocabulary)
    except VocabularyError as error:
        raise UserError(str(error)) from None
    if fitted.rows is not None:
        Console().print(f"Vocabulary: {len(fitted.rows):,} of {base.config.vocab_size:,} pieces are kept.")
    return fitted


def _run(
    data: TrainingData, base: "BaseModel", settings: Settings, output: Path, written: ReportSettings, start: float
) -> dict[str, Any]:
    """Train, evaluate and write the output folder; return the report."""
    from training.base_model import BaseModelError
    from training.evaluate import training_report
    from training.output import whole_or_nothing
    from training.predict import DivergedError
    from training.report_files import write_predictions, write_report
    from training.train import fine_tune, save_checkpoint

    with whole_or_nothing(output) as work:
        try:
            trained = fine_tune(data, base, settings, work / "trainer")
        except BaseModelError as error:
            raise UserError(str(error)) from None
        except DivergedError as error:
            raise UserError(
                f"training diverged ({error}), so nothing was written: give a lower --learning-rate than "
                f"{settings.learning_rate:g}."
            ) from None
        report = training_report(data, base, asdict(settings), trained, written.baseline)
        report["seconds"]["total"] = round(perf_counter() - start, 1)
        save_checkpoint(trained, work / "checkpoint", base.longest)
        data.record.write(work / "checkpoint")
        write_predictions(data, trained.logits["test"], work / "checkpoint")
        write_report(report, work / "checkpoint", written.kind, output.name, written.license_id)
    return report
