"""Takes jobs from callers, shows each caller their own, hands results out, and deletes."""

import asyncio
import hashlib
import json
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterable, Iterator
from typing import Any, NamedTuple

from prometheus_client.core import Metric

from gateway.errors import InvalidRequestError, JobConflictError, JobsFullError, NotReadyError, UnknownJobError
from gateway.jobs.gauges import families
from gateway.jobs.record import ENDED, JobRecord, JobState
from gateway.jobs.schemas import Job, JobOptions, Jobs, shown
from gateway.jobs.store import INPUT, JobStore
from gateway.jobs.upload import TableFile
from gateway.meaning.labels import refuse
from gateway.schemas import Options
from gateway.service import Service

UNKNOWN = "There is no such job: GET /jobs lists those there are."
NO_RECEIPTS = "A receipt is of single answers: leave `receipt` out."


class Asked(NamedTuple):
    """What a request asks for, beside its table."""

    service: Service
    options: JobOptions
    format: str
    """Kind of the table."""
    source: str | None
    """Where it is to be fetched from; None: it comes with the request."""
    owner: str
    key: str | None
    """The caller's `Idempotency-Key`."""
    declared_bytes: int
    """Of the table, as far as its head tells."""


class JobDesk:
    """The jobs of a folder, as callers meet them."""

    def __init__(self, store: JobStore, most_bytes: int, came: asyncio.Event) -> None:
        """`most_bytes` is the longest table; `came` is set for who runs jobs."""
        self._store = store
        self._most_bytes = most_bytes
        self._came = came

    async def submit(self, asked: Asked, pieces: AsyncIterable[bytes]) -> Job:
        """Keep a job; it is on the disk when this returns.

        Raises:
            InvalidRequestError: it asks for what cannot be had.
            JobConflictError: the same key came with another request.
            JobsFullError, BodyTooLongError: there is no room for it.
        """
        await _check(asked.service, asked.options)
        job = _id_of(asked)
        is_again = asked.key is not None and self._store.record(job) is not None
        await asyncio.to_thread(self._store.refuse_more, asked.declared_bytes, 0 if is_again else 1)
        try:
            with self._store.incoming(f"{job}-{secrets.token_hex(4)}") as aside:
                table = TableFile(aside / INPUT, self._store, self._most_bytes, asked.format != "jsonl")
                if asked.source is None:
                    await table.take(pieces)
                record = _record(job, asked, table)
                if not await asyncio.to_thread(self._store.publish, aside, record):
                    return await asyncio.to_thread(self._again, record)
        except OSError as error:
            raise JobsFullError(f"The job cannot be kept: {error.strerror or 'the disk fails'}.") from None
        self._came.set()
        return shown(record, JobState(), None)

    def _again(self, record: JobRecord) -> Job:
        before = self._store.record(record.id)
        if before is None:
            raise JobConflictError("The job of this Idempotency-Key is being deleted: try again shortly.")
        if before.digest != record.digest:
            raise JobConflictError("This Idempotency-Key came with another request before: give each job its own.")
        return self._shown(before)

    async def job(self, job: str, owner: str) -> Job:
        """One job. Raises UnknownJobError: this caller has no such job."""
        return await asyncio.to_thread(lambda: self._shown(self._own(job, owner)))

    async def jobs(self, owner: str, limit: int, before: str | None) -> Jobs:
        """A caller's jobs, newest first; those before one of them. Raises UnknownJobError: there is no such one."""
        return await asyncio.to_thread(self._jobs, owner, limit, before)

    def _jobs(self, owner: str, limit: int, before: str | None) -> Jobs:
        records = [record for job in self._store.ids() if (record := self._store.record(job)) is not None]
        own = sorted((r for r in records if r.owner == owner), key=lambda r: (r.created, r.id), reverse=True)
        if before is not None:
            last = self._own(before, owner)
            own = [record for record in own if (record.created, record.id) < (last.created, last.id)]
        page = own[:limit]
        more = f"/jobs?limit={limit}&before={page[-1].id}" if len(own) > limit else None
        return Jobs(jobs=[self._shown(record) for record in page], next=more)

    async def remove(self, job: str, owner: str) -> Job | None:
        """Cancel a job that has not ended, which keeps what is done; else delete it, and return None.

        Raises:
            UnknownJobError: this caller has no such job.
            NotReadyError: the disk takes no note of it.
        """
        try:
            return await asyncio.to_thread(self._remove, job, owner)
        except OSError as error:
            raise NotReadyError(f"The job cannot be cancelled now: {error.strerror}; try again shortly.") from None

    def _remove(self, job: str, owner: str) -> Job | None:
        record = self._own(job, owner)
        if self._store.state(job).state in ENDED:
            self._store.delete(job)
            return None
        self._store.cancel(job)
        self._store.end_cancelled(job)
        return self._shown(record)

    def result(self, job: str, owner: str, partial: bool) -> tuple[str, int]:
        """The file that holds the result, and how many bytes of it count.

        Raises:
            UnknownJobError: this caller has no such job.
            JobConflictError: it has not ended, and `partial` does not say that this is known.
        """
        self._own(job, owner)
        state = self._store.state(job).state
        if state not in ENDED and not partial:
            raise JobConflictError(f"The job is {state}: ask again once it is done, or with partial=true.")
        progress = self._store.progress(job)
        return str(self._store.rows_file(job)), progress.rows_bytes if progress is not None else 0

    def _own(self, job: str, owner: str) -> JobRecord:
        record = self._store.record(job)
        if record is None or record.owner != owner:
            raise UnknownJobError(UNKNOWN)
        return record

    def _shown(self, record: JobRecord) -> Job:
        return shown(record, self._store.state(record.id), self._store.progress(record.id))

    def gauges(self, model: str) -> Iterator[Metric]:
        """What Prometheus reads of a model's jobs, as they are on the disk."""
        records = [record for job in self._store.ids() if (record := self._store.record(job)) is not None]
        states = [(record, self._store.state(record.id).state) for record in records if record.model == model]
        queued = [record.created for record, state in states if state == "queued"]
        waited_s = max(0.0, time.time() - min(queued)) if queued else 0.0
        counts = Counter[str](state for _, state in states)
        return families(counts, waited_s, self._store.used_bytes(), self._store.most_bytes)


async def _check(service: Service, options: JobOptions) -> None:
    """Raise InvalidRequestError for what is known to be impossible before anything is read."""
    if options.receipt:
        raise InvalidRequestError(NO_RECEIPTS)
    wish = service.meaning.wish(options)
    try:
        version = await service.classifier.version(options.version)
    except NotReadyError:
        return  # it is taken all the same, and waits
    if wish is not None:
        refuse(wish, version.number, version.manifest)


def _id_of(asked: Asked) -> str:
    """The same for each try of a request that names itself, so that only one of them can become a job."""
    if asked.key is None:
        return secrets.token_hex(16)
    return hashlib.sha256(json.dumps([asked.owner, asked.key]).encode()).hexdigest()[:32]


def _record(job: str, asked: Asked, table: TableFile) -> JobRecord:
    given: dict[str, Any] = asked.options.model_dump(exclude_unset=True, include=set(Options.model_fields))
    columns = {"text": asked.options.text, "text_pair": asked.options.text_pair, "keep": asked.options.keep}
    model = asked.service.settings.model_name
    said = json.dumps([model, asked.format, asked.source, columns, given], sort_keys=True)
    return JobRecord(
        id=job,
        model=model,
        created=time.time(),
        owner=asked.owner,
        digest=hashlib.sha256(f"{said}\n{table.digest}".encode()).hexdigest(),
        format=asked.format,
        size_bytes=table.size,
        source=asked.source,
        options=given,
        total=table.rows.total() if asked.source is None else None,
        **columns,
    )
