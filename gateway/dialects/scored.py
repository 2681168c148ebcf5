"""What all dialects ask of the model: every label's score of some texts, as `GET /classify` would answer them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gateway.answers import Answer, answer_of, refuse_too_many
from gateway.classifier import Predictions
from gateway.encoding import Text
from gateway.loaded_version import LoadedVersion
from gateway.meaning.labels import shown_scores
from gateway.meaning.thresholds import thresholds_of
from gateway.middleware import RequestRecord
from gateway.ranking import ALL_LABELS, LabelScore, ranked
from gateway.schemas import PLAIN
from gateway.service import Service
from gateway.tokenization import Side
from gateway.windows.request import windows_wanted
from repository.manifest import Manifest

Scores = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Scored:
    """Texts with their scores, all by the same version."""

    service: Service
    texts: Sequence[Text]
    predictions: Predictions
    scores: list[Scores]
    """For each text `[labels]`: probabilities, a regression's value, or logits where these were asked for."""
    calibrated: bool

    @property
    def manifest(self) -> Manifest:
        """Of the version that answered."""
        return self.predictions.version.manifest

    @property
    def tokens(self) -> int:
        """Tokens that the model read, of all texts together."""
        return sum(item.tokens for item in self.predictions.items)

    def ranked(self, top_k: int = ALL_LABELS) -> list[list[LabelScore]]:
        """For each text that many labels, best first."""
        return [ranked(scores, self.manifest, top_k, threshold=0.0) for scores in self.scores]

    def thresholds(self) -> float | Scores:
        """The score from which on `GET /classify` answers a label of a multi-label model; of all, or `[labels]`."""
        settings = self.service.settings
        if settings.min_score is not None:
            return settings.min_score
        return thresholds_of(self.manifest, settings, self.calibrated)

    def answer(self, record: RequestRecord, content: Any) -> Answer:
        """The answer with its headers, counted and noted for the log."""
        logged = [text.first if text.second is None else f"{text.first} | {text.second}" for text in self.texts]
        return answer_of(self.service, record, self.predictions, logged, content)


def version_now(service: Service) -> LoadedVersion:
    """The version that answers at present, to look something up. Raises NotReadyError: there is none."""
    return service.versions.current or service.versions.ready()


async def scored(
    service: Service,
    texts: Sequence[Text],
    *,
    truncate: bool = True,
    side: Side | None = None,
    raw: bool = False,
    windows: bool = True,
    version: int | None = None,
) -> Scored:
    """Ask the model for the scores of some texts.

    Args:
        service: the model.
        texts: what is classified, as it is: quotes around a text are left.
        truncate: cut a text that is too long, in place of refusing it.
        side: the end that is cut off; where the checkpoint's tokenizer cuts if None.
        raw: the logits, in place of what softmax or sigmoid makes of them.
        windows: read a long text in windows where the server's `LONG_TEXT` says so, in place of cutting it.
        version: the version that is asked; the current one if None.

    Raises:
        TooManySentencesError: there are more texts than the setting allows.
        GatewayError: what `Classifier.predict` raises.
    """
    refuse_too_many(len(texts), service.settings.max_sentences)
    calibrated = service.settings.calibrated and not raw
    in_windows = windows_wanted(PLAIN, service.settings) if windows and truncate else None
    predictions = await service.classifier.predict(
        texts, truncate, side, version=version, windows=in_windows, alone=calibrated
    )
    scores: list[Scores] = [item.logits for item in predictions.items] if raw else shown_scores(predictions, calibrated)
    return Scored(service, texts, predictions, scores, calibrated)
