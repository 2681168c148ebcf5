"""A version's answers to sentences: its own tokenizer and graph, without PyTorch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from export import ExportError
from export.session import start_session
from pretrained.batches import batches_by_length
from repository.inference import Float32Array, load_tokenizer, mask_of, pad_batch, scores
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
    encodings = tokenizer.encode_batch(list(sentences))
    ids = [encoding.ids for encoding in encodings]
    masks = [mask_of(encoding, manifest.token_types) for encoding in encodings]
    logits = np.empty((len(ids), len(manifest.labels)), dtype=np.float32)
    try:
        session = start_session(folder / MODEL_FILE)
        for batch in batches_by_length(list(map(len, ids))):
            rows, kept = [ids[place] for place in batch], [masks[place] for place in batch]
            inputs = pad_batch(rows, manifest.pad_token_id, masks=kept)
            logits[batch] = session.run([OUTPUT], inputs)[0]
            advance(len(batch))
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"ONNX Runtime cannot run the graph in {folder}: {reason}") from None
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise ExportError(f"{folder} gives logits that are no numbers for {bad} of {len(ids)} sentences")
    return Answers(folder, manifest, scores(logits, manifest.problem_type))
