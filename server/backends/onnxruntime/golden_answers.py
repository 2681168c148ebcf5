"""Does this machine compute what PyTorch computed at export? Asks a version's golden sentences, if it has some."""

import json

import numpy as np

_GOLDEN_FILES = {"student.onnx": "student_golden.json"}
_GOLDEN_FILE = "golden.json"


def find_fault(graph, session):
    """What is wrong with the answers of `session` to the golden sentences beside `graph`; None if nothing, or no file.

    A version may hold a second, smaller graph, the student, with golden sentences of its own.
    """
    path = graph.with_name(_GOLDEN_FILES.get(graph.name, _GOLDEN_FILE))
    if not path.is_file():
        return None
    try:
        golden = json.loads(path.read_bytes())  # the stub's Python takes text for ASCII
        # Each alone: no padding id is needed, and one long sentence does not make the others cost as much.
        worst = max(_difference(session, sentence) for sentence in golden["sentences"])
        allowed = float(golden["max_logit_difference"])
    except Exception as error:  # a file that cannot be read, or a graph that does not take the ids
        return f"the golden sentences in {path.name} cannot be replayed: {error}"
    if worst <= allowed:
        return None
    return f"golden sentences are answered otherwise than by PyTorch: logits off by {worst:.3g}, {allowed:.3g} allowed"


def _difference(session, sentence):
    input_ids = np.array([sentence["ids"]], dtype=np.int64)
    mask = sentence.get("mask")  # a pair's; it tells which tokens are the second text's
    attention_mask = np.ones_like(input_ids) if mask is None else np.array([mask], dtype=np.int64)
    inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
    (logits,) = session.run(["logits"], inputs)
    expected = np.array(sentence["logits"])
    if logits.shape != (1, len(expected)):
        raise ValueError(f"the graph gives logits {logits.shape} for {len(expected)} labels")
    # NaN compares as False with everything, so that it has to be made larger than any bound.
    return float(np.nan_to_num(np.abs(logits[0] - expected), nan=np.inf).max())
