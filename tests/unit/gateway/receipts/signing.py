"""A repository with one version, a key, and receipts of its answers; signed as a gateway signs them, without Triton."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from prometheus_client import CollectorRegistry, Counter
from typer.testing import CliRunner, Result

from gateway.__main__ import cli
from gateway.classifier import Prediction, Predictions
from gateway.encoding import Text, encode_all
from gateway.files import LocalFiles
from gateway.loaded_version import LoadedVersion
from gateway.ranking import ranked
from gateway.receipts.kernels import cpu_flags
from gateway.receipts.keys import make_key
from gateway.receipts.signer import Receipts
from gateway.receipts.statement import Kernels
from gateway.schemas import Options
from gateway.settings import GatewaySettings
from repository.cascade import STUDENT_FILE
from repository.inference import pad_batch, scores
from repository.manifest import MODEL_FILE
from repository.store import ModelStore
from tests.version_folders import write_version

FEW = {"cat": "Animal", "oak": "Plant", "fig": "Fruit"}
SENTENCE = "cat cat oak"


@dataclass
class Signing:
    """Signs what a version of the repository answers."""

    folder: Path
    store: ModelStore
    receipts: Receipts
    kernels: Kernels

    def answers(
        self,
        texts: Sequence[Text],
        options: Options | None = None,
        by: str | None = None,
        logits_off_by: float = 0.0,
    ) -> list[dict[str, Any]]:
        """Each answer with its receipt, of the newest version; its logits may be another machine's."""
        number = self.store.numbers()[-1]
        version = LoadedVersion.read(LocalFiles(self.store.folder), number)
        options = options or Options(receipt=True)
        place = self.store.folder / str(number)
        items = [_predict(place, version, text, by, logits_off_by) for text in texts]
        labels = [ranked(item.scores, version.manifest, options.top_k, 0.5) for item in items]
        predictions = Predictions(version, items)
        return asyncio.run(self.receipts.beside(labels, "request-1", texts, predictions, options, GatewaySettings()))

    def receipt(self, sentence: str = SENTENCE, **options: Any) -> str:
        """Of one answer."""
        return str(self.answers([Text(sentence)], **options)[0]["receipt"])

    def verify(self, receipt: str | Path, *options: str | Path) -> Result:
        """Run the command in this process."""
        arguments = ["verify", str(receipt), "--repository", str(self.store.folder.parent)]
        if "--key" not in options:
            arguments += ["--key", str(self.folder / "key.pub")]
        return CliRunner().invoke(cli, [*arguments, *map(str, options)], catch_exceptions=False)


def _predict(folder: Path, version: LoadedVersion, text: Text, by: Any, logits_off_by: float) -> Prediction:
    (tokens,) = encode_all(version, [text], True, None)
    graph = folder / (STUDENT_FILE if by == "student" else MODEL_FILE)
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], pad_batch([tokens.ids], version.manifest.pad_token_id, masks=[tokens.mask]))
    if by == "student" and version.manifest.cascade:
        logits = logits / version.manifest.cascade.temperature
    logits = logits + np.float32(logits_off_by)
    found = scores(logits, version.manifest.problem_type)
    return Prediction(logits[0], found[0], 0.0, by, len(tokens.ids), tokens.cut)


def new_signing(folder: Path, version: Path | None = None) -> Signing:
    """A repository with this version, or one that counts words, and a key, in a folder."""
    store = ModelStore(folder / "repository", "classifier")
    version = version or write_version(folder / "version", FEW, weight=1.0)
    store.publish(version)
    key = make_key(folder / "key")
    kernels = Kernels(onnxruntime=onnxruntime.__version__, provider="cpu", cpu=cpu_flags())
    return Signing(folder, store, new_receipts(key, kernels), kernels)


def new_receipts(key: Any, kernels: Kernels) -> Receipts:
    """A signer that is told what computes."""

    async def told() -> Kernels:
        return kernels

    return Receipts(key, "classifier", told, Counter("receipts", "Signed.", registry=CollectorRegistry()))
