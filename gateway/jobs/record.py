"""What is on disk of a job beside its rows: what was asked for, and where it is."""

from typing import Any, Literal

from pydantic import BaseModel

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")


class JobRecord(BaseModel):
    """What was asked for; written once, before the caller is told of the job."""

    id: str
    model: str
    created: float
    """Unix time, in seconds."""
    owner: str
    """Who may see it: a digest of the API key that came with it, empty where none is needed."""
    digest: str
    """SHA-256 of all that was sent: a repeated request has to be the same."""
    format: Literal["csv", "tsv", "jsonl"]
    size_bytes: int
    """As it came, packed or not; of a source in S3 0."""
    source: str | None = None
    """Where the table is fetched from; None: it came with the request."""
    text: list[str] = []
    text_pair: list[str] = []
    keep: list[str] = []
    options: dict[str, Any] = {}
    """Those of `gateway.schemas.Options` that were given."""
    total: int | None = None
    """Rows, as far as that can be told without reading it as a table."""


class JobState(BaseModel):
    """Where a job is; written by who runs it, or by who cancels one that nobody runs."""

    state: State = "queued"
    started: float | None = None
    finished: float | None = None
    error: str | None = None
    """Why it failed: one sentence for the caller."""
