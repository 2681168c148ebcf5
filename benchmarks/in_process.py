"""The limit: ONNX Runtime alone, in this process, on the same model file, sentences and cores."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from repository.inference import Float32Array, load_tokenizer, pad_batch
from repository.manifest import MODEL_FILE, OUTPUT, Manifest

BATCH_SIZES = (4, 8, 16, 32, 64)


@dataclass
class InProcess:
    """A version's graph and tokenizer, with ONNX Runtime's own defaults: one session, a thread a core."""

    manifest: Manifest
    tokenizer: Any
    session: Any

    @classmethod
    def open(cls, version: Path, threads: int) -> "InProcess":
        """Load a version folder."""
        manifest = Manifest.read(version)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        session = onnxruntime.InferenceSession(str(version / MODEL_FILE), options, providers=["CPUExecutionProvider"])
        return cls(manifest, load_tokenizer(version, manifest.max_length), session)

    def classify(self, sentences: Sequence[str], batch_size: int) -> list[Float32Array]:
        """Logits of each sentence: tokenized together, sorted by length, padded exactly, in batches."""
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(sentences))]
        order = sorted(range(len(encoded)), key=lambda place: len(encoded[place]))
        rows: list[Float32Array] = [np.empty(0, np.float32)] * len(encoded)
        for start in range(0, len(order), batch_size):
            places = order[start : start + batch_size]
            ids = [encoded[place] for place in places]
            inputs = pad_batch(ids, self.manifest.pad_token_id, max(map(len, ids)))
            for place, row in zip(places, self.session.run([OUTPUT], inputs)[0], strict=True):
                rows[place] = row
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
