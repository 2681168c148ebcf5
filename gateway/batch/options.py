"""Options of `python -m gateway.batch`, and the job that they ask for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from gateway.batch.answers import AnswerNames
from gateway.batch.errors import UsageError
from gateway.batch.formats import STREAM, Format, format_of
from gateway.batch.job import Job
from gateway.batch.journal import skipped_file
from gateway.meaning.thresholds import uses_own_thresholds
from gateway.settings import GatewaySettings
from gateway.windows.choices import LongText, WindowJoin
from gateway.windows.cutting import Windows


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """All of them, in the order of --help."""

    source: Annotated[Path, typer.Argument(metavar="IN", help="CSV, TSV, JSON Lines or Parquet; `-` is stdin.")]
    output: Annotated[Path, typer.Argument(metavar="OUT", help="What to write, of any of these; `-` is stdout.")]
    text: Annotated[
        list[str] | None,
        typer.Option(help="Column of the text; again for several, joined by a space (by itself: as in training)."),
    ] = None
    text_pair: Annotated[
        list[str] | None, typer.Option(help="Column of the second text, for models of pairs; again for several.")
    ] = None
    version: Annotated[
        int | None, typer.Option(min=1, help="Version that scores; MODEL_VERSION if not given, else the newest.")
    ] = None
    top_k: Annotated[
        int | None, typer.Option(min=1, help="So many labels, in columns label, score, label_2, score_2 ...")
    ] = None
    calibrated: Annotated[
        bool | None,
        typer.Option(
            "--calibrated/--as-they-are",
            help="Calibrated scores, of a version that has a calibration, or those of the model.",
            show_default="as CALIBRATED says",
        ),
    ] = None
    all_labels: Annotated[bool, typer.Option("--all-labels", help="A column score_LABEL for each label, too.")] = False
    label_column: Annotated[str, typer.Option(help="Name of the label's column.")] = "label"
    score_column: Annotated[str, typer.Option(help="Name of the score's column, or of a regression's number.")] = (
        "score"
    )
    version_column: Annotated[str, typer.Option(help="Name of the version's column.")] = "model_version"
    separator: Annotated[str, typer.Option(help="Between several labels in a field of CSV or TSV.")] = "|"
    long_text: Annotated[
        str | None,
        typer.Option(
            metavar="truncate|windows",
            help="Cut a text that is longer than the model reads, or read it in windows that overlap by WINDOW_OVERLAP "
            "tokens, at most MAX_WINDOWS of them; LONG_TEXT if not given.",
        ),
    ] = None
    window_join: Annotated[
        str | None,
        typer.Option(
            metavar="mean|max|first-last", help="How the answers to windows become one; WINDOW_JOIN if not given."
        ),
    ] = None
    on_error: Annotated[
        str, typer.Option(metavar="stop|skip", help="What a row that can't be read or scored does.")
    ] = "stop"
    skipped: Annotated[
        Path | None, typer.Option(help="Where skipped rows go, with the reason; OUT.skipped.jsonl if not given.")
    ] = None
    input_format: Annotated[Format | None, typer.Option(help="Of IN, where its name does not say it.")] = None
    output_format: Annotated[Format | None, typer.Option(help="Of OUT, where its name does not say it.")] = None
    patience: Annotated[float, typer.Option(min=0, help="Seconds that Triton may be away before the run ends.")] = 60
    restart: Annotated[bool, typer.Option("--restart", help="Begin anew, whatever is there of OUT.")] = False

    def job(self, settings: GatewaySettings) -> Job:
        """What is asked for. Raises UsageError: options that don't go together, or a file of no known kind."""
        if self.on_error not in ("stop", "skip"):
            raise UsageError("--on-error is stop or skip.")
        source_format = format_of(self.source, self.input_format, "--input-format")
        output_format = format_of(self.output, self.output_format, "--output-format")
        if self.output == STREAM and self.on_error == "skip" and self.skipped is None:
            raise UsageError("with OUT - and --on-error skip, --skipped must name a file.")
        return Job(
            source=self.source,
            output=self.output,
            source_format=source_format,
            output_format=output_format,
            text=tuple(self.text or ()),
            text_pair=tuple(self.text_pair or ()),
            names=self._names(settings),
            separator=self.separator,
            version=self.version or settings.model_version,
            skip_broken=self.on_error == "skip",
            skipped=self.skipped or skipped_file(self.output),
            patience_s=self.patience,
            windows=self._windows(settings),
        )

    def _windows(self, settings: GatewaySettings) -> Windows | None:
        long_text = _one_of("--long-text", self.long_text, settings.long_text, get_args(LongText))
        join = _one_of("--window-join", self.window_join, settings.window_join, get_args(WindowJoin))
        if long_text == "truncate":
            return None
        return Windows(settings.window_overlap, join, settings.max_windows, "score with --long-text truncate")

    def _names(self, settings: GatewaySettings) -> AnswerNames:
        return AnswerNames(
            self.label_column,
            self.score_column,
            self.version_column,
            self.top_k,
            self.all_labels,
            None if uses_own_thresholds(settings) else settings.threshold,
            settings.calibrated if self.calibrated is None else self.calibrated,
            insists=bool(self.calibrated),
        )


def _one_of(option: str, given: str | None, default: str, choices: Sequence[str]) -> Any:
    """What was given, or the default. Raises UsageError: it is none of the choices."""
    if given is not None and given not in choices:
        raise UsageError(f"{option} is {', '.join(choices[:-1])} or {choices[-1]}.")
    return given or default
