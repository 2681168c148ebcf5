"""What a run is asked for, which reader and writer that takes, and what it tells of itself."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.batch.answers import AnswerColumns, AnswerNames
from gateway.batch.delimited import DelimitedReader
from gateway.batch.errors import UsageError
from gateway.batch.formats import STREAM, Format, is_packed
from gateway.batch.journal import Counts
from gateway.batch.json_lines import JsonLinesReader
from gateway.batch.parquet import ParquetReader
from gateway.batch.rows import TableReader
from gateway.batch.source import Source, fingerprint
from gateway.batch.tables import ArrowWriter, DelimitedWriter, JsonLinesWriter, PackedWriter, TableWriter
from gateway.batch.version import identity
from gateway.loaded_version import LoadedVersion
from gateway.windows.cutting import Windows


@dataclass(frozen=True)
class Job:
    """What was asked for."""

    source: Path
    output: Path
    source_format: Format
    output_format: Format
    text: tuple[str, ...]
    text_pair: tuple[str, ...]
    names: AnswerNames
    separator: str
    version: int | None
    skip_broken: bool
    skipped: Path
    patience_s: float
    windows: Windows | None = None
    """How long texts are read; None: they are cut."""

    def identity(self, version: LoadedVersion) -> dict[str, Any]:
        """What a run that goes on must have in common with the one before."""
        return {
            "input": {"file": str(self.source.absolute()), **fingerprint(self.source)} if self.resumes else {},
            "version": identity(version),
            "options": {
                "--input-format": self.source_format.value,
                "--output-format": self.output_format.value,
                "--text": list(self.text),
                "--text-pair": list(self.text_pair),
                "--separator": self.separator,
                "the answer's columns": self.names.as_json(),
                **self._windows_options(),
            },
        }

    def _windows_options(self) -> dict[str, Any]:
        """Nothing where long texts are cut: so a run that was begun before there were windows goes on."""
        if self.windows is None:
            return {}
        windows = {"--window-join": self.windows.join, "WINDOW_OVERLAP": self.windows.overlap}
        return {"--long-text": "windows", **windows, "MAX_WINDOWS": self.windows.most}

    @property
    def resumes(self) -> bool:
        """Whether the input can be read again."""
        return self.source != STREAM


@dataclass
class Progress:
    """Where a run is, for whoever watches."""

    rows: int
    """Since this run began."""
    counts: Counts
    share: float | None
    """Of what this run has to do; None where nobody knows how much that is."""


Report = Callable[[Progress], None]


def open_reader(job: Job) -> tuple[TableReader, Source | None]:
    """Return what reads the input. Raises UsageError: it is no table."""
    if job.source_format is Format.PARQUET:
        return ParquetReader(job.source), None
    source = Source(job.source)
    if job.source_format is Format.JSONL:
        return JsonLinesReader(source), source
    return DelimitedReader(source, job.source_format), source


def writer_of(job: Job, reader: TableReader, answers: AnswerColumns) -> TableWriter:
    """Return what makes the output's bytes. Raises UsageError: pyarrow is not installed."""
    if job.output_format is Format.PARQUET:
        types = {name: reader.types.get(name, "string") for name in reader.columns}
        return ArrowWriter(types, answers.types)
    writer: TableWriter
    if job.output_format is Format.JSONL:
        writer = JsonLinesWriter(list(answers.types))
    else:
        if any(kind == "strings" for kind in answers.types.values()):
            _refuse_separator(job.separator, answers.labels)
        writer = DelimitedWriter(job.output_format, reader.columns, list(answers.types), job.separator)
    return PackedWriter(writer) if is_packed(job.output) else writer


def _refuse_separator(separator: str, labels: list[str]) -> None:
    inside = next((label for label in labels if separator in label), None)
    if inside is not None:
        raise UsageError(f"the label {inside} holds {separator}, which is to stand between labels: give --separator.")
