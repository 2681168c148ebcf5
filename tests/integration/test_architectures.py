"""Every architecture that is listed trains, exports and answers over HTTP as the pipeline does on its checkpoint."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from transformers import pipeline

from benchmarks.measure.ports import free_ports
from export.parity.sweep import SURE
from gateway.app import create_app
from gateway.settings import GatewaySettings
from pretrained.architectures import ARCHITECTURES
from repository.manifest import Manifest
from tests.integration.gateways import publish
from tests.integration.stack import ROOT
from tests.tiny_pipeline import BPE, SENTENCES, WORD_PIECES, export_checkpoint, train_tiny_base
from tests.tiny_tokenizers import SENTENCEPIECE
from tests.waiting import wait_until

PRECISIONS = ("fp32", "int8")
# The same sums in another order.
FP32_BOUND = 1e-4
# Of int8 on random weights, in the mean; single probabilities were seen to be 0.13 off.
INT8_MEAN_BOUND = 0.05
PORTS = ("TRITON_HTTP_PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT")


def precisions(model_type: str) -> list[str]:
    """Those that the architecture is exported in."""
    return [name for name in PRECISIONS if name != "int8" or ARCHITECTURES[model_type].int8]


def build(model_type: str, folder: Path) -> Path:
    """The checkpoint, with a version folder beside it for each precision; runs in a process of its own."""
    checkpoint = train_tiny_base(model_type, folder)
    for precision in precisions(model_type):
        export_checkpoint(checkpoint, folder / precision, "--precision", precision)
    return checkpoint


class Triton:
    """A Triton over an empty repository, without a gateway."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "repository"
        self.repository.mkdir()
        ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        self.port = int(ports["TRITON_HTTP_PORT"])
        self.log = folder / "triton.log"
        env = {**os.environ, "MODEL_REPOSITORY": str(self.repository), "TRITON_KIND": "embedded", **ports}
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "server"], cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT
            )

    def is_live(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/v2/health/live").status_code == 200
        except httpx.TransportError:
            return False

    def answers(self, model: str) -> tuple[list[dict[str, float]], list[dict[str, float]]]:
        """Scores by label of each sentence: asked alone, and all in one request."""
        settings = GatewaySettings(
            model_repository=str(self.repository), model_name=model, triton_http_port=self.port, version_poll_ms=50
        )
        with TestClient(create_app(settings)) as client:
            wait_until(lambda: client.get("/health/ready").status_code == 200, 30, f"it is ready, see {self.log}")
            alone = [client.get("/classify", params={"sentence": s, "top_k": "all"}).json() for s in SENTENCES]
            together = client.post("/classify", json={"sentences": SENTENCES, "top_k": "all"}).json()
        return _by_label(alone), _by_label(together)


def _by_label(answers: list[list[dict[str, float]]]) -> list[dict[str, float]]:
    return [{item["label"]: item["score"] for item in answer} for answer in answers]


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    running = Triton(tmp_path_factory.mktemp("triton"))
    try:
        wait_until(running.is_live, 60, f"Triton is live, see {running.log}")
        yield running
    finally:
        running.process.terminate()
        running.process.wait(timeout=60)


@pytest.fixture(scope="module")
def checkpoints(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Path]]]:
    """Trained and exported one after the other, while others are served; only those that are asked for."""
    folder = tmp_path_factory.mktemp("checkpoints")
    wanted = dict.fromkeys(
        item.callspec.params["model_type"]
        for item in request.session.items
        if item.module is request.module and hasattr(item, "callspec")
    )
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as processes:
        yield {name: processes.submit(build, name, folder / name) for name in wanted}
        processes.shutdown(cancel_futures=True)


@pytest.mark.parametrize("model_type", sorted(ARCHITECTURES))
def test_what_is_listed_trains_exports_and_answers_as_the_pipeline_does(
    model_type: str, checkpoints: dict[str, "Future[Path]"], triton: Triton
) -> None:
    checkpoint = checkpoints[model_type].result()
    for precision in precisions(model_type):
        publish(triton.repository, f"{model_type}-{precision}", checkpoint.parent / precision)
    ask = pipeline("text-classification", model=str(checkpoint), top_k=None, device="cpu")
    length = Manifest.read(checkpoint.parent / "fp32").max_length
    asked = [ask({"text": sentence}, truncation=True, max_length=length) for sentence in SENTENCES]
    expected = [{item["label"]: item["score"] for item in answer} for answer in asked]
    labels = sorted(expected[0])
    right = np.array([[scores[label] for label in labels] for scores in expected])
    assert right.std(axis=0).max() > 0.01, "a model with one answer would prove nothing"
    for precision in precisions(model_type):
        alone, together = triton.answers(f"{model_type}-{precision}")
        assert [sorted(scores) for scores in alone] == [labels] * len(SENTENCES)
        found = np.array([[scores[label] for label in labels] for scores in alone])
        if precision == "fp32":
            assert np.abs(found - right).max() < FP32_BOUND
        else:
            ranked = np.sort(right, axis=1)
            sure = ranked[:, -1] - ranked[:, -2] >= SURE  # what no number format may change
            assert (found.argmax(axis=1) == right.argmax(axis=1))[sure].all()
            assert np.abs(found - right).mean() < INT8_MEAN_BOUND
        company = np.array([[scores[label] for label in labels] for scores in together])
        assert np.abs(company - found).max() < 1e-5, precision
        shutil.rmtree(triton.repository / f"{model_type}-{precision}")


def test_every_kind_of_tokenizer_is_among_them() -> None:
    kinds = {*SENTENCEPIECE}, {*BPE}, {*WORD_PIECES}
    assert all(kind and kind <= set(ARCHITECTURES) for kind in kinds)
