"""The parts behind the routes, put together from the settings; each worker process has its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

from starlette.requests import HTTPConnection

from gateway.audit import Auditor
from gateway.batcher import Batcher, BatchLimits
from gateway.candidates.follower import CandidateFollower
from gateway.candidates.gauges import candidate_metrics
from gateway.candidates.parts import candidate_parts
from gateway.cascade import Answerer
from gateway.classifier import Classifier
from gateway.files import READER, S3Files, VersionFiles, version_files
from gateway.metrics import Metrics
from gateway.named_versions import NamedVersions
from gateway.schemas import Models, ModelVersion, StudentNow
from gateway.settings import GatewaySettings
from gateway.students import Students, StudentState
from gateway.triton import READY, TritonClient
from gateway.versions import VersionFollower
from repository.cascade import student_model
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
    students: Students | None = None
    """None where students are not asked."""
    candidates: CandidateFollower | None = None
    """None where a version is pinned, so that no other is tried."""

    def render_metrics(self) -> bytes:
        """The text that Prometheus reads."""
        candidate = None if self.candidates is None else self.candidates.state()
        return self.metrics.render(self.versions, self.batcher, self.students, lambda: candidate_metrics(candidate))

    def models(self) -> Models:
        """Every version that Triton knows, newest first."""
        current = self.versions.current.number if self.versions.current else None
        failures = self.versions.failures()
        candidate = None if self.candidates is None else self.candidates.state()
        ended = [] if self.candidates is None else self.candidates.ended()
        found = []
        for version in self.versions.states:
            state = ModelVersion(version=version.number, state="loading")
            if version.number == current:
                state.state = "current"
            elif version.number in failures:
                state.state, state.reason = "failed", failures[version.number]
            elif version.state == READY:
                is_candidate = candidate is not None and candidate.version == version.number
                state.state = "candidate" if is_candidate else "ready"
            if version.number == current and self.students is not None:
                state.student = _now(self.students.state())
            found.append(self._with_manifest(state))
        return Models(
            model=self.settings.model_name,
            current=current,
            threshold=self.settings.threshold,
            versions=found,
            candidate=candidate,
            ended_trials=ended,
        )

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


def _now(student: StudentState | None) -> StudentNow | None:
    if student is None:
        return None
    bar, raised = (student.watch.bar, student.watch.raised) if student.watch is not None else (None, 0)
    return StudentNow(state=student.state, reason=student.reason or None, bar=bar, raised=raised)


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
    async with contextlib.AsyncExitStack() as stack:
        service, followers = await _parts(settings, metrics, stack)
        tasks = [asyncio.create_task(follower) for follower in followers]
        try:
            yield service
        finally:
            service.batcher.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _parts(
    settings: GatewaySettings, metrics: Metrics, stack: contextlib.AsyncExitStack
) -> tuple[Service, list[Coroutine[Any, Any, None]]]:
    """The service, and what runs beside it until it ends."""

    async def client(model_name: str) -> TritonClient:
        return await stack.enter_async_context(
            TritonClient(settings.triton_host, settings.triton_http_port, model_name)
        )

    triton = await client(settings.model_name)
    student_triton = await client(student_model(settings.model_name))
    deadline_s, poll_s, sentences = (
        settings.deadline_ms / 1000,
        settings.version_poll_ms / 1000,
        settings.batch_sentences,
    )
    files = version_files(settings)
    versions = VersionFollower(triton, files, poll_s, settings.model_version, sentences)
    limits = BatchLimits(
        calls=settings.triton_calls,
        tokens=settings.batch_tokens,
        sentences=sentences,
        waiting=settings.max_waiting,
        deadline_s=deadline_s,
    )
    batcher = Batcher(triton.infer, limits, metrics, student_triton.infer)
    named = NamedVersions(triton, files, versions, settings.model_version, sentences)
    versions.after_look = named.forget_gone
    students = Students(student_triton, versions, poll_s, sentences) if settings.cascade else None
    auditor = Auditor(batcher, metrics, settings.audit_share, deadline_s)
    answerer = Answerer(batcher, students, auditor)
    classifier = Classifier(batcher, versions, named, deadline_s, settings.max_sentence_bytes, answerer)
    followers = [versions.run(), _count_dropped_lines(metrics)]
    if students is not None:
        followers += [students.run(), auditor.run()]
    candidates = None
    if settings.model_version is None:
        candidates, more = candidate_parts(settings, metrics, triton, files, versions, batcher, classifier)
        followers += more
    if isinstance(files, S3Files):
        followers.append(files.follow(versions.served))
    return Service(settings, metrics, versions, batcher, classifier, files, students, candidates), followers
