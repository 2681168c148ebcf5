"""The alternatives: what each is started with, how it is asked, and which of its settings are not the default."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.alternatives.answers import Question
from repository.strict_json import strict_json

SERVERS = Path(__file__).parent / "servers"
TEI_IMAGE = "ghcr.io/huggingface/text-embeddings-inference:cpu-1.8"

MOST_SENTENCES = 32
"""Longest batch, the same for all that can be told."""


@dataclass(frozen=True)
class Launch:
    """What a server is started with."""

    bin: Path
    """Folder of the environment's programs."""
    checkpoint: Path
    version: Path
    """What this server made of the checkpoint: an exported version in float32."""
    folder: Path
    """Empty, the server's own."""
    ports: Sequence[int]
    """Three free ones on 127.0.0.1; the first is asked."""

    @property
    def port(self) -> int:
        """Where the server is asked."""
        return self.ports[0]

    @property
    def url(self) -> str:
        """Where the server is asked."""
        return f"http://127.0.0.1:{self.port}"


Command = Callable[[Launch], list[str]]


@dataclass(frozen=True)
class Alternative:
    """One other server."""

    name: str
    title: str
    package: str
    """The one whose version is shown, or the container image."""
    environment: str
    """Name of the lock file, and of the environment made from it; empty where a container holds the server."""
    settings: str
    """What is set, and who advises it."""
    command: Command
    question: Question
    variables: dict[str, str] = field(default_factory=dict)
    prepare: Command | None = None
    """Runs to its end before the server starts."""
    clean_up: Command | None = None
    """Runs after the server has stopped."""
    tolerance: float = 1e-3
    """How far a score may be from the pipeline's."""


def _script(name: str) -> Command:
    return lambda launch: [str(launch.bin / "python"), str(SERVERS / name), str(launch.checkpoint), str(launch.port)]


def _onnxruntime(launch: Launch, mode: str) -> list[str]:
    script = SERVERS / "fastapi_onnxruntime.py"
    return [str(launch.bin / "python"), str(script), str(launch.version), str(launch.port), mode]


def _bentoml(launch: Launch) -> list[str]:
    program = [str(launch.bin / "bentoml"), "serve", "bentoml_batching:Classifier", "--working-dir", str(SERVERS)]
    return [*program, "--host", "127.0.0.1", "--port", str(launch.port)]


def _infinity(engine: str) -> Command:
    def command(launch: Launch) -> list[str]:
        # The ONNX engine finds a local graph only in the folder that it runs in.
        model = launch.checkpoint if engine == "torch" else "."
        program = [str(launch.bin / "infinity_emb"), "v2", "--model-id", str(model), "--engine", engine]
        place = ["--host", "127.0.0.1", "--port", str(launch.port), "--device", "cpu", "--log-level", "warning"]
        # Its warm-up asks for more tokens than the model takes, which the ONNX engine does not cut.
        warm_up = [] if engine == "torch" else ["--no-model-warmup"]
        batches = ["--served-model-name", "classifier", "--batch-size", str(MOST_SENTENCES)]
        return [*program, *batches, *warm_up, *place]

    return command


def _optimum_export(launch: Launch) -> list[str]:
    program = [str(launch.bin / "python"), "-m", "optimum.exporters.onnx", "--task", "text-classification"]
    return [*program, "--model", str(launch.checkpoint), str(launch.folder)]


def _mlserver(launch: Launch) -> list[str]:
    http, grpc, metrics = launch.ports
    server = {"host": "127.0.0.1", "http_port": http, "grpc_port": grpc, "metrics_port": metrics, "debug": False}
    pipeline = {"task": "text-classification", "pretrained_model": str(launch.checkpoint), "device": "cpu"}
    model = {
        "name": "classifier",
        "implementation": "mlserver_huggingface.HuggingFaceRuntime",
        "max_batch_size": MOST_SENTENCES,
        "max_batch_time": 0.001,
        "parameters": {"extra": {**pipeline, "framework": "pt"}},
    }
    (launch.folder / "settings.json").write_text(strict_json(server))
    (launch.folder / "model-settings.json").write_text(strict_json(model))
    return [str(launch.bin / "mlserver"), "start", str(launch.folder)]


def _container(launch: Launch) -> str:
    return f"benchmark-tei-{os.getpid()}-{launch.port}"


def _tei(launch: Launch) -> list[str]:
    place = ["--publish", f"127.0.0.1:{launch.port}:80", "--volume", f"{launch.checkpoint.resolve()}:/model:ro"]
    # --pull=never: the image is there, or the row says that it is not.
    program = ["docker", "run", "--rm", "--pull", "never", "--name", _container(launch), *place]
    return [*program, "--env", "HF_HUB_OFFLINE=1", TEI_IMAGE, "--model-id", "/model", "--auto-truncate"]


def _mlserver_request(sentence: str) -> object:
    return {"inputs": [{"name": "array_inputs", "shape": [1], "datatype": "BYTES", "data": [sentence]}]}


def _mlserver_labels(content: Any) -> Any:
    return [json.loads(entry) for entry in content["outputs"][0]["data"]]


_INFINITY_QUESTION = Question(
    "/classify", lambda sentence: {"model": "classifier", "input": [sentence]}, lambda content: content["data"][0]
)

ALTERNATIVES = (
    Alternative(
        name="ray",
        title="Ray Serve, transformers pipeline",
        package="ray",
        environment="ray",
        settings="serve.batch of 32 within 1 ms; one replica that may use all cores",
        command=_script("ray_serve.py"),
        question=Question("/classify"),
        # The first keeps what Ray opens on 127.0.0.1; one port of Serve is open all the same, and asks for the token.
        variables={"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token", "RAY_USAGE_STATS_ENABLED": "0"},
    ),
    Alternative(
        name="fastapi",
        title="FastAPI, transformers pipeline",
        package="fastapi",
        environment="fastapi",
        settings="one pipeline call a request, in FastAPI's thread pool; it joins none",
        command=_script("fastapi_pipeline.py"),
        question=Question("/classify"),
    ),
    Alternative(
        name="fastapi-batching",
        title="FastAPI, pipeline behind a queue",
        package="fastapi",
        environment="fastapi",
        settings="batches of 32 within 1 ms, as transformers' guide to web servers shows; one thread for the pipeline",
        command=_script("fastapi_batching.py"),
        question=Question("/classify"),
    ),
    Alternative(
        name="fastapi-onnxruntime",
        title="FastAPI, ONNX Runtime over our graph",
        package="fastapi",
        environment="fastapi",
        settings="this server's own model.onnx and tokenizer.json, one run a request, in FastAPI's thread pool; "
        "ONNX Runtime's defaults",
        command=lambda launch: _onnxruntime(launch, "alone"),
        question=Question("/classify"),
    ),
    Alternative(
        name="fastapi-onnxruntime-batching",
        title="FastAPI, ONNX Runtime over our graph behind a queue",
        package="fastapi",
        environment="fastapi",
        settings="the same; what waits, up to 32, is one batch, and nobody waits for one to fill",
        command=lambda launch: _onnxruntime(launch, "queue"),
        question=Question("/classify"),
    ),
    Alternative(
        name="litserve",
        title="LitServe",
        package="litserve",
        environment="litserve",
        settings="max_batch_size 32, batch_timeout 1 ms, transformers pipeline, one worker",
        command=_script("litserve_batching.py"),
        question=Question("/predict", lambda sentence: {"sentence": sentence}),
    ),
    Alternative(
        name="infinity-torch",
        title="Infinity, torch",
        package="infinity-emb",
        environment="infinity",
        settings="`infinity_emb v2 --engine torch --batch-size 32`",
        command=_infinity("torch"),
        question=_INFINITY_QUESTION,
        variables={"INFINITY_ANONYMOUS_USAGE_STATS": "0"},
    ),
    Alternative(
        name="infinity-optimum",
        title="Infinity, optimum (ONNX Runtime)",
        package="infinity-emb",
        environment="infinity",
        settings="`--engine optimum --batch-size 32` over optimum's export; its own optimization of the graph fails "
        "with the optimum that it asks for, so that the graph stays as it is",
        command=_infinity("optimum"),
        question=_INFINITY_QUESTION,
        variables={"INFINITY_ANONYMOUS_USAGE_STATS": "0"},
        prepare=_optimum_export,
    ),
    Alternative(
        name="bentoml",
        title="BentoML",
        package="bentoml",
        environment="bentoml",
        settings="adaptive batching, max_batch_size 32, default max_latency_ms (60 s; less sheds requests)",
        command=_bentoml,
        question=Question("/classify", lambda sentence: {"sentences": [sentence]}),
        variables={
            "BENTOML_DO_NOT_TRACK": "True",
            "BENTOML_CONFIG_OPTIONS": "api_server.logging.access.enabled=false",
        },
    ),
    Alternative(
        name="mlserver",
        title="MLServer, Hugging Face runtime",
        package="mlserver",
        environment="mlserver",
        settings="adaptive batching, max_batch_size 32, max_batch_time 1 ms, torch, debug off; its ONNX engine needs "
        "an older torch",
        command=_mlserver,
        question=Question("/v2/models/classifier/infer", _mlserver_request, _mlserver_labels),
    ),
    Alternative(
        name="tei",
        title="text-embeddings-inference",
        package=TEI_IMAGE,
        environment="",
        settings="its CPU image with defaults, --auto-truncate",
        command=_tei,
        question=Question("/predict", lambda sentence: {"inputs": sentence}),
        clean_up=lambda launch: ["docker", "rm", "--force", _container(launch)],
    ),
)
