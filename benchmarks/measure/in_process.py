"""The limit: ONNX Runtime alone, in this process, on the same model file, sentences and cores, at its best."""

import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from repository.inference import Float32Array, load_tokenizer, pad_batch
from repository.manifest import MODEL_FILE, OUTPUT, Manifest

BATCH_SIZES = (4, 8, 16, 32, 64)


@dataclass(frozen=True)
class Way:
    """How the cores are put to use."""

    threads: int
    """Of one run."""
    runs: int
    """At a time, each on a thread of its own."""

    def __str__(self) -> str:
        return f"{self.runs} × {self.threads} threads" if self.threads > 1 else f"{self.runs} × 1 thread"


def ways() -> list[Way]:
    """All cores on one batch, as ONNX Runtime has it by default, and a batch on each core; with one core the same."""
    cores = len(os.sched_getaffinity(0))
    return [Way(cores, 1), Way(1, cores)] if cores > 1 else [Way(1, 1)]


@dataclass
class InProcess:
    """A version's graph and tokenizer in ONNX Runtime, with its defaults but for the threads."""

    manifest: Manifest
    tokenizer: Any
    session: Any
    way: Way
    _pool: ThreadPoolExecutor

    @classmethod
    def open(cls, version: Path, way: Way) -> "InProcess":
        """Load a version folder."""
        manifest = Manifest.read(version)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = way.threads
        session = onnxruntime.InferenceSession(str(version / MODEL_FILE), options, providers=["CPUExecutionProvider"])
        tokenizer = load_tokenizer(version, manifest.max_length)
        return cls(manifest, tokenizer, session, way, ThreadPoolExecutor(way.runs))

    def classify(self, sentences: Sequence[str], batch_size: int) -> list[Float32Array]:
        """Logits of each sentence: tokenized together, sorted by length, padded exactly, in batches."""
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(sentences))]
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
        rows: list[Float32Array] = [np.empty(0, np.float32)] * len(encoded)

        def run(places: Sequence[int]) -> None:
            ids = [encoded[place] for place in places]
            inputs = pad_batch(ids, self.manifest.pad_token_id, max(map(len, ids)))
            for place, row in zip(places, self.session.run([OUTPUT], inputs)[0], strict=True):
                rows[place] = row

        batches = [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
        if self.way.runs > 1:
            # Long ones first: at the end no core is left alone with one.
            list(self._pool.map(run, reversed(batches)))
        else:
            for batch in batches:
                run(batch)
        return rows

    def per_second(self, sentences: Sequence[str], batch_size: int) -> float:
        """Sentences a second, tokenization included."""
        start = time.perf_counter()
        self.classify(sentences, batch_size)
        return len(sentences) / (time.perf_counter() - start)

    def lone_latencies_ms(self, sentences: Sequence[str]) -> list[float]:
        """Duration of each sentence asked alone: tokenized, padded and run."""
        found = []
        for sentence in sentences:
            start = time.perf_counter()
            self.classify([sentence], 1)
            found.append(1000 * (time.perf_counter() - start))
        return found
