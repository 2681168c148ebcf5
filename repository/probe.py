"""Does the graph of a version load, and answer as PyTorch did? Asked before publishing, if ONNX Runtime is there.

Triton loads the newest versions of a model together: one that fails keeps the others from coming up when Triton is
restarted. So a version that cannot be loaded must not get into the repository in the first place.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np

from repository.cascade import STUDENT_FILE, STUDENT_GOLDEN_FILE
from repository.golden import GOLDEN_FILE, Golden
from repository.manifest import INPUTS, MODEL_FILE, OUTPUT, Manifest, RepositoryError


def probe_graph(folder: Path, manifest: Manifest) -> None:
    """Run the graph, and the student's if there is one, once on a short batch and on its golden sentences.

    Does nothing without ONNX Runtime.

    Raises:
        RepositoryError: it cannot be loaded or run, it gives another number of logits than there are labels, or its
            answers to golden sentences are off on this machine.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return
    _probe(folder, manifest, MODEL_FILE, GOLDEN_FILE)
    if manifest.cascade is not None:
        try:
            _probe(folder, manifest, STUDENT_FILE, STUDENT_GOLDEN_FILE)
        except RepositoryError as error:
            raise RepositoryError(f"the student: {error}") from None


def _probe(folder: Path, manifest: Manifest, graph_file: str, golden_file: str) -> None:
    import onnxruntime

    path = folder / graph_file
    length = min(8, manifest.max_length)
    inputs = {name: np.ones((2, length), dtype=np.int64) for name in INPUTS}
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        logits = session.run([OUTPUT], inputs)[0]
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        reason = " ".join(str(error).split())[:200]
        raise RepositoryError(f"ONNX Runtime cannot run the graph, export it again: {reason}") from None
    if logits.shape != (2, len(manifest.labels)):
        raise RepositoryError(
            f"the graph gives logits {logits.shape} for 2 sentences and {len(manifest.labels)} labels"
        )
    if golden_file in manifest.files and (golden := Golden.read(folder, golden_file)) is not None:
        _replay(session, golden, folder, manifest)


def _replay(session: Any, golden: Golden, folder: Path, manifest: Manifest) -> None:
    """Ask the golden sentences one by one, tokenized as at export and, with `tokenizers`, as they are here."""
    stored = [sentence.ids for sentence in golden.sentences]
    masks = [sentence.mask for sentence in golden.sentences]
    golden.check(_logits(session, stored, masks))
    if importlib.util.find_spec("tokenizers") is None:
        return
    from repository.inference import load_tokenizer, mask_of

    tokenizer = load_tokenizer(folder, manifest.max_length)
    encodings = tokenizer.encode_batch([sentence.input for sentence in golden.sentences])
    ids = [encoding.ids for encoding in encodings]
    found = [mask_of(encoding, manifest.token_types) for encoding in encodings]
    if ids != stored or found != masks:
        golden.check(_logits(session, ids, found), ids)


def _logits(session: Any, ids: list[list[int]], masks: list[list[int] | None]) -> list[Any]:
    rows = []
    for sentence, mask in zip(ids, masks, strict=True):
        input_ids = np.array([sentence], dtype=np.int64)
        attention_mask = np.ones_like(input_ids) if mask is None else np.array([mask], dtype=np.int64)
        try:
            rows.append(session.run([OUTPUT], dict(zip(INPUTS, (input_ids, attention_mask), strict=True)))[0][0])
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            reason = " ".join(str(error).split())[:200]
            raise RepositoryError(f"ONNX Runtime cannot run a golden sentence: {reason}") from None
    return rows
