"""Jobs while the gateway runs: taken by every worker, and run by one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from gateway.jobs.desk import JobDesk
from gateway.jobs.runner import Runner
from gateway.jobs.store import MB, JobStore
from gateway.metrics import Metrics
from gateway.services import Services


@contextlib.asynccontextmanager
async def running_jobs(folder: Path, services: Services, metrics: Metrics) -> AsyncIterator[JobDesk]:
    """What takes jobs, while what runs them does. Raises OSError: the folder cannot be used."""
    settings = services.settings
    store = JobStore(folder, settings.jobs_kept, settings.jobs_max_mb * MB)
    runner = Runner(store, services, metrics.of)
    task = asyncio.create_task(runner.run())
    try:
        yield JobDesk(store, settings.jobs_max_bytes, runner.came)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
