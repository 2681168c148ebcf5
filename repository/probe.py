"""Does the graph of a version load and answer? Asked before publishing, where ONNX Runtime is installed.

Triton loads the newest versions of a model together: one that fails keeps the others from coming up when Triton is
restarted. So a version that cannot be loaded must not get into the repository in the first place.
"""

import importlib.util
from pathlib import Path

import numpy as np

from repository.manifest import INPUTS, MODEL_FILE, OUTPUT, Manifest, RepositoryError


def probe_graph(folder: Path, manifest: Manifest) -> None:
    """Load the graph and run it once on a short batch; does nothing where ONNX Runtime is not installed.

    Raises:
        RepositoryError: it cannot be loaded or run, or it gives another number of logits than there are labels.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return
    import onnxruntime

    path = folder / MODEL_FILE
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
