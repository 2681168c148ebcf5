"""A version's answers to sentences: its own tokenizer and graph, without PyTorch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import ExportError
from export.batches import batches_by_length
from export.session import start_session
from repository.inference import Float32Array, load_tokenizer, pad_batch, scores
from repository.manifest import MODEL_FILE, OUTPUT, Manifest


@dataclass(frozen=True)
class Answers:
    """Scores `[sentences, labels]` of a version, in the order of its manifest's labels."""

    folder: Path
    manifest: Manifest
    scores: Float32Array


def ask_version(folder: Path, sentences: Sequence[str], advance: Callable[[int], None]) -> Answers:
    """Ask the version in `folder` in batches of neighbours in length; `advance` is told of every batch's size.

    Raises:
        ExportError: ONNX Runtime cannot run the graph, or a logit is no number.
        RepositoryError: it is no version folder.
    """
    manifest = Manifest.read(folder)
    tokenizer = load_tokenizer(folder, manifest.max_length)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(sentences))]
    logits = np.empty((len(ids), len(manifest.labels)), dtype=np.float32)
    try:
        session = start_session(folder / MODEL_FILE)
        for batch in batches_by_length(list(map(len, ids))):
            inputs = pad_batch([ids[place] for place in batch], manifest.pad_token_id)
            logits[batch] = session.run([OUTPUT], inputs)[0]
            advance(len(batch))
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"ONNX Runtime cannot run the graph in {folder}: {reason}") from None
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise ExportError(f"{folder} gives logits that are no numbers for {bad} of {len(ids)} sentences")
    return Answers(folder, manifest, scores(logits, manifest.problem_type))
