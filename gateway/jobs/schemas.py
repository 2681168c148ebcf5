"""What a job is asked for by, and how it is shown."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.batch.journal import State as Progress
from gateway.jobs.record import JobRecord, JobState, State
from gateway.schemas import Options

Column = Annotated[str, Field(min_length=1, max_length=200)]
Columns = Annotated[list[Column], Field(max_length=20)]
LONGEST_SOURCE = 1100
"""Characters of an address in S3, whose key has at most 1024 bytes."""


class JobOptions(Options):
    """What a job is asked for: which columns, and the options of `/classify`."""

    format: Literal["csv", "tsv", "jsonl"] | None = Field(
        None, description="Kind of table, where `Content-Type`, or the name of the source, does not say it."
    )
    text: Columns = Field(
        [],
        description="Column of the text; again for several, joined by a space. Not given: as in training, `text` or "
        "`sentence`, or `idea_title` and `map_title`.",
    )
    text_pair: Columns = Field([], description="Column of the second text, for models of pairs; again for several.")
    receipt: bool = Field(False, description="Not for jobs: a receipt is of single answers.")
    keep: Columns = Field([], description="Column that each line of the result repeats, such as `id`; again for more.")


class JobSource(JobOptions):
    """A table that the gateway fetches by itself."""

    model_config = ConfigDict(extra="forbid")

    source: str = Field(
        max_length=LONGEST_SOURCE,
        description="Address of a table in S3, below one of the prefixes in `JOBS_SOURCES`.",
        examples=["s3://bucket/tables/april.csv"],
    )


class Rows(BaseModel):
    """How many rows a job has."""

    total: int | None = Field(
        description="All of them, as counted by line ends when the table came; null where that is not known yet."
    )
    done: int = Field(description="Lines of the result so far, those with an error included.")
    failed: int = Field(description="Those with an error.")


class Job(BaseModel):
    """Where a job is."""

    id: str
    model: str
    state: State = Field(
        description="`failed`: `error` says why; like `cancelled`, it keeps the lines that were done by then."
    )
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    rows: Rows
    rows_per_second: float | None = Field(None, description="Since it was started, pauses for others included.")
    versions: list[int] = Field([], description="Versions that gave the answers so far.")
    error: str | None = None
    result: str | None = Field(None, description="Path of the result, once there is one.")


class Jobs(BaseModel):
    """Jobs, newest first."""

    jobs: list[Job]
    next: str | None = Field(description="Where the list goes on; null at its end.")


def shown(record: JobRecord, state: JobState, progress: Progress | None) -> Job:
    """A job as its files tell of it."""
    run: dict[str, Any] = progress.run if progress is not None else {}
    done, failed = (progress.counts.rows, progress.counts.skipped) if progress is not None else (0, 0)
    is_whole = state.state == "done"
    seconds = run.get("seconds", 0.0)
    return Job(
        id=record.id,
        model=record.model,
        state=state.state,
        created=_time(record.created),
        started=_time(state.started),
        finished=_time(state.finished),
        rows=Rows(total=done if is_whole else run.get("total", record.total), done=done, failed=failed),
        rows_per_second=round(done / seconds, 1) if seconds else None,
        versions=run.get("versions", []),
        error=state.error,
        result=f"/jobs/{record.id}/result" if state.finished is not None else None,
    )


def _time(seconds: float | None) -> Any:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
