"""The parts behind the routes, put together from the settings; each worker process has its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from gateway.batcher import Batcher, BatchLimits
from gateway.classifier import Classifier
from gateway.files import READER, S3Files, VersionFiles, version_files
from gateway.metrics import Metrics
from gateway.named_versions import NamedVersions
from gateway.schemas import Models, ModelVersion
from gateway.settings import GatewaySettings
from gateway.triton import READY, TritonClient
from gateway.versions import VersionFollower
from repository.manifest import REPORT_PAGE, Manifest, RepositoryError

DROPPED_EVERY_S = 0.5


@dataclass(frozen=True)
class Service:
    """Everything that answers a request."""

    settings: GatewaySettings
    metrics: Metrics
    versions: VersionFollower
    batcher: Batcher
    classifier: Classifier
    files: VersionFiles

    def render_metrics(self) -> bytes:
        """The text that Prometheus reads."""
        return self.metrics.render(self.versions, self.batcher)

    def models(self) -> Models:
        """Every version that Triton knows, newest first."""
        current = self.versions.current.number if self.versions.current else None
        failures = self.versions.failures()
        found = []
        for version in self.versions.states:
            state = ModelVersion(version=version.number, state="loading")
            if version.number == current:
                state.state = "current"
            elif version.number in failures:
                state.state, state.reason = "failed", failures[version.number]
            elif version.state == READY:
                state.state = "ready"
            found.append(self._with_manifest(state))
        settings = self.settings
        return Models(model=settings.model_name, current=current, threshold=settings.threshold, versions=found)

    def _with_manifest(self, version: ModelVersion) -> ModelVersion:
        folder = self.settings.local_copy(READER) / self.settings.model_name / str(version.version)
        try:
            manifest = Manifest.read(folder)
        except RepositoryError:
            return version
        shown = set(ModelVersion.model_fields) & set(Manifest.model_fields)
        is_shown = self.settings.reports and REPORT_PAGE in manifest.files
        report = report_path(version.version) if is_shown else None
        return version.model_copy(update={name: getattr(manifest, name) for name in shown} | {"report": report})


def report_path(version: int) -> str:
    """Where the gateway serves the report of a version."""
    return f"/models/{version}/report"


async def _count_dropped_lines(metrics: Metrics) -> None:
    """Now and then, for a scrape that another worker answers."""
    while True:
        metrics.count_dropped_lines()
        await asyncio.sleep(DROPPED_EVERY_S)


class ServiceHolder:
    """Where what is built before the service finds it; the service is there from the application's start on."""

    service: Service


def service_of(request: HTTPConnection) -> Service:
    """The parts behind the routes."""
    service: Service = request.app.state.holder.service
    return service


@contextlib.asynccontextmanager
async def running_service(settings: GatewaySettings, metrics: Metrics) -> AsyncIterator[Service]:
    """The service while it follows Triton's versions."""
    async with TritonClient(settings.triton_host, settings.triton_http_port, settings.model_name) as triton:
        deadline_s = settings.deadline_ms / 1000
        files = version_files(settings)
        versions = VersionFollower(
            triton,
            files,
            settings.version_poll_ms / 1000,
            settings.model_version,
            settings.batch_sentences,
        )
        limits = BatchLimits(
            calls=settings.triton_calls,
            tokens=settings.batch_tokens,
            sentences=settings.batch_sentences,
            waiting=settings.max_waiting,
            deadline_s=deadline_s,
        )
        batcher = Batcher(triton.infer, limits, metrics)
        named = NamedVersions(triton, files, versions, settings.model_version, settings.batch_sentences)
        versions.after_look = named.forget_gone
        classifier = Classifier(batcher, versions, named, deadline_s, settings.max_sentence_bytes)
        followers = [asyncio.create_task(versions.run()), asyncio.create_task(_count_dropped_lines(metrics))]
        if isinstance(files, S3Files):
            followers.append(asyncio.create_task(files.follow(versions.served)))
        try:
            yield Service(settings, metrics, versions, batcher, classifier, files)
        finally:
            batcher.close()
            for follower in followers:
                follower.cancel()
            await asyncio.gather(*followers, return_exceptions=True)
