"""`python -m training evaluate`: how good a checkpoint is on a data file, without training; its report made again."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, fail, one_line
from training import SAMPLE_DATA
from training.commands import evaluate_options as own
from training.commands import options
from training.data.load import DataError, TrainingData
from training.report.settings import UNKNOWN_LICENSE, ReportKind, ReportSettings

if TYPE_CHECKING:
    from training.report.asked import AskedCheckpoint

errors = Console(stderr=True)


def evaluate_checkpoint(
    checkpoint: options.Checkpoint,
    data: options.Data = None,
    output: own.Output = None,
    served: own.Served = None,
    report: options.Report = ReportKind.full,
    license_id: options.License = UNKNOWN_LICENSE,
) -> None:
    """Answer the test texts of a data file and write the report, without training.

    The columns are those that the checkpoint was trained on (its split.json). What was trained on is never tested on:
    of the file that it was trained on, its own test split is taken; of another one, all texts that it does not know.

    Exit status: 0 done, 1 the report cannot be written, 2 something you gave can't be used (one line says what),
    130 interrupted.
    """
    from training.report.asked import UnusableError, ask_checkpoint, read_as_trained, read_record

    try:
        record = read_record(checkpoint)
        loaded = read_as_trained(data or [str(SAMPLE_DATA)], record)
        Console().print(options.summary_of(loaded))
        asked = ask_checkpoint(checkpoint, loaded)
        found = _judged(checkpoint, asked, loaded, served)
        _write(
            found, asked, loaded, output or checkpoint, checkpoint.absolute().name, ReportSettings(report, license_id)
        )
    except (DataError, UnusableError) as error:
        fail(one_line(error))
    except OSError as error:
        fail(f"{error}; the report was not written.", FAILED)
    except KeyboardInterrupt:
        errors.print("Interrupted: the report is as it was.")
        raise typer.Exit(INTERRUPTED) from None
    else:
        from training.report.contents import show_report

        console = Console()
        show_report(found, console)
        console.print(f"Report: {output or checkpoint}")


def _judged(checkpoint: Path, asked: "AskedCheckpoint", data: TrainingData, served: str | None) -> dict[str, Any]:
    from training.report.contents import read_report
    from training.report.evaluate import evaluation_report

    return evaluation_report(read_report(checkpoint), checkpoint.absolute().name, asked, data, served)


def _write(
    found: dict[str, Any],
    asked: "AskedCheckpoint",
    data: TrainingData,
    folder: Path,
    name: str,
    written: ReportSettings,
) -> None:
    from training.report.files import write_predictions, write_report

    folder.mkdir(parents=True, exist_ok=True)
    write_predictions(data, asked.logits["test"], folder, asked.labels)
    write_report(found, folder, written.kind, name, written.license_id)
