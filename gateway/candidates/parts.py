"""How are the parts of a trial put together?"""

from collections.abc import Coroutine
from typing import Any

from gateway.batcher import Batcher
from gateway.candidates.counts import Counts
from gateway.candidates.follower import CandidateFollower
from gateway.candidates.ledger import Ledger
from gateway.candidates.shadow import Shadow
from gateway.classifier import Classifier
from gateway.files import VersionFiles
from gateway.metrics import ModelMetrics
from gateway.settings import GatewaySettings
from gateway.triton import TritonClient
from gateway.versions import VersionFollower


def candidate_parts(
    settings: GatewaySettings,
    metrics: ModelMetrics,
    triton: TritonClient,
    files: VersionFiles,
    versions: VersionFollower,
    batcher: Batcher,
    classifier: Classifier,
) -> tuple[CandidateFollower, list[Coroutine[Any, Any, None]]]:
    """What follows candidates, and what runs beside the service for it."""
    deadline_s = settings.deadline_ms / 1000
    counts = Counts(metrics, settings.log_sentences)
    shadow = Shadow(batcher, counts, settings.shadow_share, deadline_s, settings.threshold)
    follower = CandidateFollower(
        triton, files, versions, classifier, shadow, counts, Ledger(settings), deadline_s, settings.batch_sentences
    )
    return follower, [follower.run(settings.version_poll_ms / 1000), shadow.run()]
