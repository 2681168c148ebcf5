"""Which model answers a request? The one that it names, or the first; each has parts of its own.

What they share is Triton's cores (`gateway.call_slots`) and the process. A model without a version that can be used,
or one whose calls hang, changes nothing for the others.
"""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Sequence

from starlette.requests import HTTPConnection

from gateway.call_slots import CallSlots
from gateway.errors import NotReadyError, UnknownModelError
from gateway.jobs.desk import JobDesk
from gateway.metrics import Metrics
from gateway.middleware import record_of
from gateway.schemas import Models, ServedModel
from gateway.service import Service, report_path, running_service
from gateway.settings import GatewaySettings
from gateway.tracing.parts import Tracing
from repository.manifest import RepositoryError
from repository.places import model_names
from repository.problem import Problem

logger = logging.getLogger(__name__)

DROPPED_EVERY_S = 0.5


class Services:
    """The models that are served; the first answers where none is named."""

    def __init__(self, settings: GatewaySettings, metrics: Metrics, tracing: Tracing | None = None) -> None:
        self.settings = settings
        self.metrics = metrics
        self._tracing = tracing
        self.default: Service
        self.jobs: JobDesk | None = None
        """None where no jobs are taken."""
        self._slots = CallSlots(settings.triton_calls)
        self._services: dict[str, Service] = {}
        self._running: dict[str, contextlib.AsyncExitStack] = {}

    def of(self, name: str | None) -> Service:
        """The parts of one model, of the first one for None. Raises UnknownModelError: there is no such model."""
        if name is None:
            return self.default
        try:
            return self._services[name]
        except KeyError:
            raise UnknownModelError(
                "No model of that name is served here: `models` in GET /models lists those that are."
            ) from None

    def all(self) -> list[Service]:
        """Every model, the default first."""
        return [self.default, *(each for each in self._services.values() if each is not self.default)]

    def ready(self) -> Service:
        """The first that can answer. Raises NotReadyError: none can; it says why the default cannot."""
        for service in self.all():
            with contextlib.suppress(NotReadyError):
                service.versions.ready()
                return service
        self.default.versions.ready()
        return self.default

    def models(self, name: str | None) -> Models:
        """The versions of one model, and which models there are."""
        service = self.of(name)
        shown = service.models()
        shown.models = [_served(each) for each in self.all()]
        for version in shown.versions:
            if version.report and service is not self.default:
                version.report = report_path(version.version, shown.model)
        return shown

    def render_metrics(self, openmetrics: bool = False) -> bytes:
        """The text that Prometheus reads, in its own format or in OpenMetrics'."""
        states = [service.state() for service in self.all()]
        if (desk := self.jobs) is not None:
            states = [
                state._replace(others=[*state.others, functools.partial(desk.gauges, state.name)]) for state in states
            ]
        return self.metrics.render(states, openmetrics)

    async def start(self, names: Sequence[str]) -> None:
        """Serve these models from now on, too."""
        for name in names:
            stack = contextlib.AsyncExitStack()
            settings = self.settings.for_model(name)
            service = await stack.enter_async_context(running_service(settings, self.metrics.of(name), self._slots))
            if self._tracing is not None:
                self._tracing.follow(service)
            self._running[name] = stack
            self._services[name] = service

    async def stop(self, names: Sequence[str]) -> None:
        """Serve these no more. Who asks one of them at this moment is answered first, within the deadline."""
        stacks = []
        for name in names:
            del self._services[name]
            stacks.append(self._running.pop(name))
        if stacks:
            await asyncio.sleep(self.settings.deadline_ms / 1000)
        await close_all(stacks)

    async def close(self) -> None:
        """Stop everything."""
        await close_all(list(self._running.values()))

    async def follow(self) -> None:
        """Serve what is in the repository, until cancelled."""
        problem = Problem(logger)
        first = self.settings.model_name
        while True:
            try:
                found = await asyncio.to_thread(model_names, self.settings)
            except RepositoryError as error:
                problem.tell("The repository's models cannot be listed", error)
            else:
                problem.over()
                await self.start([name for name in found if name not in self._services])
                gone = [name for name in self._services if name not in found and name != first]
                await self.stop(gone)
            await asyncio.sleep(self.settings.repository_poll_seconds)


def _served(service: Service) -> ServedModel:
    current = service.versions.current
    return ServedModel(
        name=service.settings.model_name,
        current=current.number if current else None,
        problem=service.versions.problem or None,
    )


async def close_all(stacks: Sequence[contextlib.AsyncExitStack]) -> None:
    """Close each, whatever happens to the others."""
    await asyncio.gather(*(stack.aclose() for stack in stacks), return_exceptions=True)


class ServicesHolder:
    """Where what is built before the services finds them; they are there from the application's start on."""

    services: Services


def services_of(request: HTTPConnection) -> Services:
    """The parts of all models."""
    services: Services = request.app.state.holder.services
    return services


def service_of(request: HTTPConnection, model: str | None = None) -> Service:
    """The parts of the model that a request is for. Raises UnknownModelError: there is no such model."""
    service = services_of(request).of(model)
    record_of(request.scope).model = service.settings.model_name
    return service


@contextlib.asynccontextmanager
async def running_services(
    settings: GatewaySettings, metrics: Metrics, tracing: Tracing | None = None
) -> AsyncIterator[Services]:
    """All models while each follows Triton's versions of it."""
    services = Services(settings, metrics, tracing)
    names = settings.named_models()
    tasks = [asyncio.create_task(_count_dropped_lines(metrics))]
    try:
        await services.start(names)
        services.default = services.of(names[0])
        if settings.every_model:
            tasks.append(asyncio.create_task(services.follow()))
        yield services
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await services.close()


async def _count_dropped_lines(metrics: Metrics) -> None:
    """Now and then, for a scrape that another worker answers."""
    while True:
        metrics.count_dropped_lines()
        await asyncio.sleep(DROPPED_EVERY_S)
