"""What `transformers.pipeline` itself answers, with the checkpoint's own tokenizer: every export is held against it."""

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from transformers import TextClassificationPipeline

from export import ExportError
from export.checkpoint.heads import original_forward
from export.checkpoint.load import Checkpoint
from repository.inference import Float32Array
from repository.tolerances import unit_of

Text = str | tuple[str, str]

# Texts that it is asked, one by one, a few milliseconds each for MiniLM: what it feeds a model is the same for all.
SAMPLE = 64
# In logits of labels; the same sums in another order.
TOLERANCE = 1e-3


def hold_against_pipeline(
    checkpoint: Checkpoint, texts: Sequence[Text], logits: Float32Array, golden: Sequence[int] = ()
) -> None:
    """Put the pipeline's own answers in place of those of a sample, in `logits` `[texts, labels]`.

    Args:
        checkpoint: loaded.
        texts: what was answered.
        logits: the model's own.
        golden: indices that are in the sample: what every later machine is held to is the pipeline's.

    Raises:
        ExportError: they are others: what the pipeline feeds this model is something else than what a graph is fed.
    """
    sample = sorted({*golden, *random.Random(0).sample(range(len(texts)), min(SAMPLE, len(texts)))})
    answers = pipeline_logits(checkpoint, [texts[index] for index in sample])
    off = float(np.abs(answers - logits[sample]).max())
    if off > TOLERANCE * unit_of(answers, checkpoint.problem_type):  # a NaN is found, and said, elsewhere
        raise ExportError(
            f"{checkpoint.name}: transformers' pipeline answers otherwise than the model does for token ids and mask "
            f"alone (a logit differs by {off:.2g}): it feeds the model something that a served graph is not told"
        )
    logits[sample] = answers


def pipeline_logits(checkpoint: Checkpoint, texts: Sequence[Text]) -> Float32Array:
    """Logits `[texts, labels]` of the unchanged model, each text or pair asked alone and cut at the served length."""
    model = checkpoint.model
    place = {label: index for index, label in enumerate(checkpoint.labels)}
    logits = np.empty((len(texts), len(checkpoint.labels)), dtype=np.float32)
    with _unchanged(checkpoint):
        ask = TextClassificationPipeline(
            model=model, tokenizer=checkpoint.tokenizer, framework="pt", device="cpu", top_k=None
        )
        for row, text in enumerate(texts):
            asked = {"text": text} if isinstance(text, str) else {"text": text[0], "text_pair": text[1]}
            options = {"truncation": True, "max_length": checkpoint.max_length, "function_to_apply": "none"}
            for answer in ask(asked, **options):
                logits[row, place[answer["label"]]] = answer["score"]
    return logits


@contextmanager
def _unchanged(checkpoint: Checkpoint) -> Iterator[None]:
    """The model as its files describe it: its own forward, and its own padding token or none."""
    model: Any = checkpoint.model
    forward, padding = model.forward, model.config.pad_token_id
    model.forward, model.config.pad_token_id = original_forward(model), checkpoint.own_pad_token_id
    try:
        yield
    finally:
        model.forward, model.config.pad_token_id = forward, padding
