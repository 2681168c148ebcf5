"""Signs a receipt for each answer of a request that asks for them; there is one signer for each gateway with a key."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from prometheus_client import Counter

from gateway.classifier import Prediction, Predictions
from gateway.encoding import Text
from gateway.loaded_version import LoadedVersion
from gateway.meaning.thresholds import thresholds_of
from gateway.ranking import many_can_be_true
from gateway.receipts.keys import SigningKey
from gateway.receipts.sealed import SALT_BYTES, input_digest, sealed, signing_input
from gateway.receipts.statement import UNKNOWN, Kernels, Statement, bits_of, now, version_digest
from gateway.schemas import Options
from gateway.settings import GatewaySettings
from repository.manifest import Manifest

ON_THIS_THREAD = 8
"""Receipts from which on a thread signs them, so that others are answered meanwhile: about a millisecond."""
KEPT = 4
"""Versions of which digest and kernels are kept."""
ASKED_AGAIN_S = 30.0
"""After which Triton is asked once more what it computes on, if it did not say."""


class _Facts(NamedTuple):
    """What is the same in each receipt of a version."""

    manifest: Manifest  # not the version, whose tokenizer would be held with it
    digest: str
    kernels: Kernels
    asked_at: float


class Receipts:
    """Signs with one key for one model."""

    def __init__(
        self, key: SigningKey, model_name: str, kernels: Callable[[], Awaitable[Kernels]], signed: Counter
    ) -> None:
        """Take what signs.

        Args:
            key: the gateway's.
            model_name: of the model that answers.
            kernels: asks what it is computed with.
            signed: counts receipts.
        """
        self.key = key
        self._model_name = model_name
        self._kernels = kernels
        self._signed = signed
        self._known: dict[int, _Facts] = {}

    async def beside(
        self,
        answers: Sequence[Any],
        request_id: str,
        texts: Sequence[Text],
        predictions: Predictions,
        options: Options,
        settings: GatewaySettings,
    ) -> list[dict[str, Any]]:
        """Each answer with its receipt, as `AnswerWithReceipt` describes it.

        Args:
            answers: what is answered to each text.
            request_id: of the request.
            texts: as they were classified.
            predictions: of the texts.
            options: what the request asked for.
            settings: the gateway's, which stand in for what it did not ask for.
        """
        facts = await self._facts(predictions.version)
        manifest = predictions.version.manifest
        common = {
            "time": now(),
            "request_id": request_id,
            "model": self._model_name,
            "version": predictions.version.number,
            "version_digest": facts.digest,
            "options": stated_options(options, settings),
            "threshold": _threshold(manifest, settings) if many_can_be_true(manifest) else None,
            "labels": manifest.labels,
            "computed_by": facts.kernels,
        }

        def sign() -> list[dict[str, Any]]:
            items = zip(answers, texts, predictions.items, strict=True)
            return [
                {"answer": answer, "receipt": self._receipt(common, text, item, answer)} for answer, text, item in items
            ]

        found = sign() if len(answers) <= ON_THIS_THREAD else await asyncio.to_thread(sign)
        self._signed.inc(len(found))
        return found

    def _receipt(self, common: dict[str, Any], text: Text, item: Prediction, answer: Any) -> str:
        salt = os.urandom(SALT_BYTES)
        statement = Statement(
            **common,
            texts=1 if text.second is None else 2,
            input_digest=input_digest(text, salt),
            tokens=item.tokens,
            cut_tokens=item.cut_tokens,
            answered_by=item.by or "model",
            logits=bits_of(item.logits),
            answer=answer,
        )
        signed = signing_input(self.key.key_id, statement.payload())
        return sealed(signed, self.key.sign(signed), salt)

    async def _facts(self, version: LoadedVersion) -> _Facts:
        """The version's digest, and what computes it; asked once for each version, not for each request."""
        known = self._known.get(version.number)
        now_s = time.monotonic()
        if known is not None and known.manifest is version.manifest:
            if known.kernels.provider != UNKNOWN or now_s - known.asked_at < ASKED_AGAIN_S:
                return known
            known = known._replace(kernels=await self._kernels(), asked_at=now_s)
        else:
            known = _Facts(version.manifest, version_digest(version.manifest), await self._kernels(), now_s)
        while len(self._known) >= KEPT:
            self._known.pop(next(iter(self._known)))
        self._known[version.number] = known
        return known


def _threshold(manifest: Manifest, settings: GatewaySettings) -> float | list[float]:
    """The least score of all labels, or that of each."""
    found = thresholds_of(manifest, settings)
    return found if isinstance(found, float) else found.tolist()


def stated_options(options: Options, settings: GatewaySettings) -> dict[str, Any]:
    """By what a request was answered, without its text and without that it wants a receipt.

    A setting of the same name stands in for an option that was not given.
    """
    stated = options.model_dump(mode="json", include=set(Options.model_fields) - {"receipt"})
    defaults = settings.model_dump(mode="json", include=set(stated))
    given = options.model_fields_set
    return {name: value if name in given else defaults.get(name, value) for name, value in stated.items()}
