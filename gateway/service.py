"""The parts that answer for one model, put together from the settings; each worker process has its own."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.audit import Auditor
from gateway.batcher import Batcher, BatchLimits
from gateway.call_slots import CallSlots
from gateway.candidates.follower import CandidateFollower
from gateway.candidates.gauges import candidate_metrics
from gateway.candidates.parts import candidate_parts
from gateway.cascade import Answerer
from gateway.classifier import Classifier
from gateway.errors import UnusedVersionError
from gateway.feedback.keeper import FeedbackKeeper
from gateway.feedback.place import open_feedback
from gateway.feedback.shown import shown as feedback_shown
from gateway.files import READER, S3Files, VersionFiles, version_files
from gateway.meaning.labels import Meaning
from gateway.meaning.thresholds import uses_own_thresholds
from gateway.metrics import MULTIPROCESS_FOLDER, ModelMetrics, ModelState
from gateway.named_versions import NamedVersions
from gateway.receipts.kernels import kernels_of_triton
from gateway.receipts.keys import read_signing_key
from gateway.receipts.signer import Receipts
from gateway.schemas import Models, ModelVersion, StudentNow
from gateway.settings import GatewaySettings
from gateway.students import Students, StudentState
from gateway.triton import READY, TritonClient
from gateway.versions import VersionFollower
from gateway.watching.shown import shown as drift_shown
from gateway.watching.watcher import Watcher
from repository.cascade import student_model
from repository.manifest import REPORT_PAGE, Manifest, RepositoryError


@dataclass(frozen=True)
class Service:
    """Everything that answers a request to one model."""

    settings: GatewaySettings
    metrics: ModelMetrics
    versions: VersionFollower
    batcher: Batcher
    classifier: Classifier
    files: VersionFiles
    meaning: Meaning
    """What requests ask of scores beyond what the model gives."""
    students: Students | None = None
    """None where students are not asked."""
    watcher: Watcher | None = None
    """None where sentences are not watched."""
    feedback: FeedbackKeeper | None = None
    """None where no feedback is taken."""
    receipts: Receipts | None = None
    """None where no key signs them."""
    candidates: CandidateFollower | None = None
    """None where a version is pinned, so that no other is tried."""
    triton: TritonClient = field(kw_only=True)
    """Asks the model past the batcher."""

    def state(self) -> ModelState:
        """What the metrics show of it when they are read."""
        if self.watcher is not None:
            self.watcher.flush()
        candidate = None if self.candidates is None else self.candidates.state()
        others = [part.collect for part in (self.watcher, self.feedback) if part is not None]
        others.append(lambda: candidate_metrics(candidate))
        return ModelState(self.settings.model_name, self.versions, self.batcher, self.students, others)

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
            if version.number == current and self.watcher is not None:
                state.drift = drift_shown(self.watcher.drift())
            if self.feedback is not None:
                state.feedback = feedback_shown(self.feedback.figures, version.number)
            found.append(self._with_manifest(state))
        settings = self.settings
        return Models(
            model=settings.model_name,
            current=current,
            threshold=settings.threshold,
            own_thresholds=uses_own_thresholds(settings),
            calibrated=settings.calibrated,
            feedback=self.feedback is not None,
            versions=found,
            candidate=candidate,
            ended_trials=ended,
        )

    def labels_of(self, number: int) -> list[str]:
        """The labels of a version that may be asked, in the order of its logits.

        Raises:
            UnknownVersionError, UnusedVersionError: it may not, see `NamedVersions.check`.
        """
        self.classifier.check_version(number)
        labels = next((each.labels for each in self.models().versions if each.version == number), None)
        if labels is None:
            raise UnusedVersionError(f"The manifest of version {number} cannot be read.")
        return labels

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


def report_path(version: int, model_name: str | None = None) -> str:
    """Where the gateway serves the report of a version, of the default model if none is named."""
    return f"/models/{version}/report" + (f"?model={model_name}" if model_name else "")


@contextlib.asynccontextmanager
async def running_service(settings: GatewaySettings, metrics: ModelMetrics, slots: CallSlots) -> AsyncIterator[Service]:
    """The parts of one model while they follow Triton's versions of it."""
    async with contextlib.AsyncExitStack() as stack:
        service, followers = await _parts(settings, metrics, slots, stack)
        tasks = [asyncio.create_task(follower) for follower in followers]
        try:
            yield service
        finally:
            service.batcher.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _receipts(settings: GatewaySettings, metrics: ModelMetrics, triton: TritonClient) -> Receipts | None:
    """Who signs. Raises KeyFileError: the key cannot be used, which `python -m gateway` found out before."""
    if settings.receipt_key is None:
        return None
    key = read_signing_key(settings.receipt_key)
    return Receipts(key, settings.model_name, lambda: kernels_of_triton(triton, settings), metrics.receipts)


def _watcher(settings: GatewaySettings, metrics: ModelMetrics, versions: VersionFollower) -> Watcher | None:
    if not settings.watch:
        return None
    shared = os.environ.get(MULTIPROCESS_FOLDER) or None
    window_s = 60 * settings.watch_window_minutes
    return Watcher(versions, metrics.watched, window_s, shared, with_students=settings.cascade)


def _limits(settings: GatewaySettings) -> BatchLimits:
    return BatchLimits(
        calls=settings.triton_calls,
        tokens=settings.batch_tokens,
        sentences=settings.batch_sentences,
        waiting=settings.max_waiting,
        deadline_s=settings.deadline_ms / 1000,
    )


async def _parts(
    settings: GatewaySettings, metrics: ModelMetrics, slots: CallSlots, stack: contextlib.AsyncExitStack
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
    batcher = Batcher(triton.infer, _limits(settings), metrics, student_triton.infer, slots)
    named = NamedVersions(triton, files, versions, settings.model_version, sentences)
    versions.after_look = named.forget_gone
    students = Students(student_triton, versions, poll_s, sentences) if settings.cascade else None
    auditor = Auditor(batcher, metrics, settings.audit_share, deadline_s)
    answerer = Answerer(batcher, students, auditor)
    watcher = _watcher(settings, metrics, versions)
    classifier = Classifier(batcher, versions, named, deadline_s, settings.max_sentence_bytes, answerer, watcher)
    followers = [versions.run()]
    if students is not None:
        followers += [students.run(), auditor.run()]
    if isinstance(files, S3Files):
        followers.append(files.follow(versions.served))
    if watcher is not None:
        followers.append(watcher.run())
    meaning = Meaning(settings, files, metrics)
    core = Service(settings, metrics, versions, batcher, classifier, files, meaning, students, watcher, triton=triton)
    service, more = _with_features(core, triton)
    return service, followers + more


def _with_features(service: Service, triton: TritonClient) -> tuple[Service, list[Coroutine[Any, Any, None]]]:
    """The service with what the settings ask for beside answers, and what runs for it."""
    settings, metrics = service.settings, service.metrics
    followers: list[Coroutine[Any, Any, None]] = []
    candidates = feedback = None
    if settings.model_version is None:
        candidates, more = candidate_parts(
            settings, metrics, triton, service.files, service.versions, service.batcher, service.classifier
        )
        followers += more
    if settings.feedback is not None:
        feedback, more = open_feedback(settings, metrics.feedback)
        followers += more
    receipts = _receipts(settings, metrics, triton)
    return replace(service, feedback=feedback, receipts=receipts, candidates=candidates), followers
