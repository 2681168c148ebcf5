"""BentoML with adaptive batching over the transformers pipeline of CHECKPOINT; `bentoml serve` runs it."""

import os

import bentoml
from transformers import pipeline


@bentoml.service(resources={"cpu": str(len(os.sched_getaffinity(0)))}, traffic={"timeout": 60})
class Classifier:
    """One worker with one copy of the pipeline."""

    def __init__(self) -> None:
        self.pipeline = pipeline("text-classification", model=os.environ["CHECKPOINT"], device="cpu")

    @bentoml.api(batchable=True, max_batch_size=32)
    def classify(self, sentences: list[str]) -> list[dict[str, str | float]]:
        """The best label of each."""
        return self.pipeline(sentences, batch_size=len(sentences), truncation=True)
