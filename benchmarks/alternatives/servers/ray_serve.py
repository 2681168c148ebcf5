"""Ray Serve with the transformers pipeline, requests joined by `serve.batch`: `ray_serve.py CHECKPOINT PORT`.

A Ray of its own without a dashboard, one replica that may use all cores.
"""

import os
import signal
import sys
import threading

import ray
from ray import serve
from starlette.requests import Request
from transformers import pipeline

checkpoint, port = sys.argv[1], int(sys.argv[2])
cores = len(os.sched_getaffinity(0))


# Ray sets OMP_NUM_THREADS in a worker to the cores that its actor asks for.
@serve.deployment(ray_actor_options={"num_cpus": cores}, max_ongoing_requests=256)
class Classifier:
    """One copy of the pipeline."""

    def __init__(self) -> None:
        self.pipeline = pipeline("text-classification", model=checkpoint, device="cpu")

    @serve.batch(max_batch_size=32, batch_wait_timeout_s=0.001)
    async def classify(self, sentences: list[str]) -> list[dict[str, str | float]]:
        """The best label of each."""
        return self.pipeline(sentences, batch_size=len(sentences), truncation=True)

    async def __call__(self, request: Request) -> list[dict[str, str | float]]:
        """`GET /classify?sentence=…`."""
        return [await self.classify(request.query_params["sentence"])]


ray.init(address="local", include_dashboard=False, num_cpus=cores, _node_ip_address="127.0.0.1", log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(Classifier.bind(), route_prefix="/classify")
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
stop.wait()
serve.shutdown()
ray.shutdown()
