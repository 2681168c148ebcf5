"""Who runs a job? One worker at a time, one job after the other, the oldest first; another goes on where it stopped."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

from gateway.batch.errors import UsageError
from gateway.errors import BodyTooLongError, GatewayError, UnknownModelError
from gateway.jobs.lane import Lane
from gateway.jobs.record import ENDED, JobRecord, JobState
from gateway.jobs.run import Run
from gateway.jobs.store import JobStore
from gateway.metrics import ModelMetrics
from gateway.service import Service
from gateway.services import Services
from repository.problem import Problem

logger = logging.getLogger(__name__)

UNREADABLE = "unreadable"
"""Outcome of a job that failed by its caller's mistake: `failed` to the caller, and no trouble of the service's."""
OUTCOMES = ("done", "failed", UNREADABLE, "cancelled")

LOOKED_EVERY_S = 1.0
"""How often a worker looks for a job that waits; one that comes to it by itself begins at once."""
SWEPT_EVERY_S = 10.0
STOPPED_LOOKED_EVERY_S = 0.3


class Runner:
    """Runs the jobs of a folder as one of its workers."""

    def __init__(self, store: JobStore, services: Services, counts: Callable[[str], ModelMetrics]) -> None:
        """`counts` is where those of a model are counted."""
        self._store = store
        self._services = services
        self._counts = counts
        self._counted: set[str] = set()
        settings = services.settings
        self._keep_s = settings.jobs_keep_hours * 3600
        self._slots = settings.jobs_running
        calls = max(1, settings.triton_calls - 1)  # one that waits in Triton would only be in the way of others
        self._calls = calls
        tokens = settings.batch_tokens
        self._lane = Lane(lambda: (service.batcher for service in services.all()), calls, tokens)
        self.came = asyncio.Event()
        """Set where a job may be waiting."""
        self._over: set[str] = set()

    async def run(self) -> None:
        """Run jobs, and delete old ones, until cancelled; what is under way then is gone on with by another."""
        problem, swept_at = Problem(logger), 0.0
        while True:
            try:
                self._begin_counts()
                if time.monotonic() - swept_at > SWEPT_EVERY_S:
                    swept_at = time.monotonic()
                    await asyncio.to_thread(self._store.sweep, self._keep_s)
                if await self._run_next():
                    problem.over()
                    continue
            except Exception as error:  # one job, or a disk, must not be the end of all jobs
                problem.tell("Jobs cannot be run", error)
            self.came.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.came.wait(), LOOKED_EVERY_S)

    def _begin_counts(self) -> None:
        """Show every outcome from the start: of a counter that begins with its first failure, nobody sees it rise."""
        for service in self._services.all():
            if (model := service.settings.model_name) not in self._counted:
                self._counted.add(model)
                for outcome in OUTCOMES:
                    self._counts(model).jobs_ended(outcome)

    async def _run_next(self) -> bool:
        """Run the oldest job that nobody runs; False: there is none, or others run as many as may be run."""
        waiting = await asyncio.to_thread(self._waiting)
        if not waiting:
            return False
        with self._store.slot(self._slots) as free:
            for record in waiting if free else ():
                with self._store.holding(record.id) as held:
                    if held and self._store.state(record.id).state in ("queued", "running"):
                        await self._run(record)
                        return True
        return False

    def _waiting(self) -> list[JobRecord]:
        there = set(self._store.ids())
        self._over &= there
        self._over |= {job for job in there - self._over if self._store.state(job).state in ENDED}
        found = [record for job in there - self._over if (record := self._store.record(job)) is not None]
        served = [record for record in found if self._service(record.model) is not None]
        return sorted(served, key=lambda record: record.created)

    def _service(self, model: str) -> Service | None:
        try:
            return self._services.of(model)
        except UnknownModelError:
            return None

    async def _run(self, record: JobRecord) -> None:
        state = self._store.state(record.id)
        started = time.time() if state.started is None else state.started
        running = JobState(state="running", started=started)
        failure: BaseException | None = None
        try:
            await asyncio.to_thread(self._store.write_state, record.id, running)
            ended, failure = await self._work(record)
        except asyncio.CancelledError:
            with contextlib.suppress(OSError):
                self._store.write_state(record.id, running.model_copy(update={"state": "queued"}))
            raise
        except OSError as error:
            ended = JobState(state="failed", error=f"The disk fails: {error.strerror or type(error).__name__}.")
        if ended.state == "queued":
            await asyncio.to_thread(self._store.write_state, record.id, ended)
            return
        ended = ended.model_copy(update={"started": started, "finished": time.time()})
        logger.info("Job %s of %s: %s. %s", record.id, record.model, ended.state, ended.error or "")
        await asyncio.to_thread(self._end, record.id, ended)
        by_caller = isinstance(failure, UsageError | BodyTooLongError)
        self._counts(record.model).jobs_ended(UNREADABLE if by_caller else ended.state).inc()

    async def _work(self, record: JobRecord) -> tuple[JobState, BaseException | None]:
        """What became of a job: done, failed or cancelled; and by which error it failed."""
        service = self._services.of(record.model)
        try:
            run = Run(record, self._store, service, self._lane, self._calls, self._counts(record.model).job_rows)
        except GatewayError as error:
            return JobState(state="failed", error=str(error)), error
        work = asyncio.create_task(run.run())
        watch = asyncio.create_task(self._until_stopped(record, service))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                return watch.result(), None
            if (failure := work.exception()) is not None:
                return JobState(state="failed", error=run.reason(failure)), failure
            return JobState(state="done"), None
        finally:
            for task in (work, watch):
                task.cancel()
            await asyncio.gather(work, watch, return_exceptions=True)
            await run.close()

    async def _until_stopped(self, record: JobRecord, service: Service) -> JobState:
        """Wait for the caller to cancel it, or for its model to be served no more: then it waits for that."""
        while not self._store.is_cancelled(record.id):
            await asyncio.sleep(STOPPED_LOOKED_EVERY_S)
            if self._service(record.model) is not service:
                return JobState(state="queued")
        return JobState(state="cancelled")

    def _end(self, job: str, ended: JobState) -> None:
        """Write down how it ended. What was sent is of no more use: without it, there is room even on a full disk."""
        for path in self._store.inputs(job):
            path.unlink(missing_ok=True)
        try:
            self._store.write_state(job, ended)
        except OSError as error:
            self._over.add(job)  # else it would be run again and again
            logger.error("How job %s ended (%s) cannot be written: %s", job, ended.state, error.strerror)
