"""What are the texts like that a version was trained on, and what does it answer? Counted for whoever watches it.

Lengths and scripts are those of the training texts. Labels and scores are those of the texts that were held out, where
there are such: of texts that it has learned, a model is surer than of any that come later, which would look like drift.
"""

from collections import Counter
from pathlib import Path

import numpy as np

from export.checkpoint.load import Checkpoint
from export.parity.measure import Reference
from export.texts.sentences import ProfiledTexts
from repository.inference import Float32Array, load_tokenizer, scores
from repository.manifest import ProblemType
from repository.scripts import script_of
from repository.training_profile import (
    LENGTH_EDGES,
    SCORE_EDGES,
    TrainingProfile,
    best_label,
    binned,
    unknown_token_id,
)

DECILES = np.arange(0.1, 0.95, 0.1)
"""A number has no natural bins: a tenth of the answers is in each."""


def profile_of(checkpoint: Checkpoint, folder: Path, profiled: ProfiledTexts, reference: Reference) -> TrainingProfile:
    """Count what the texts are like, as the gateway reads them, and PyTorch's answers.

    Args:
        checkpoint: that was exported.
        folder: of the version, with its tokenizer.
        profiled: texts like those it was trained on.
        reference: PyTorch's answers; those to texts with true labels are taken, where there are such.
    """
    tokenizer = load_tokenizer(folder, checkpoint.max_length)
    ids = [encoding.ids for encoding in tokenizer.encode_batch_fast(profiled.texts)]
    unknown_id = unknown_token_id(tokenizer)
    unknown = [each.count(unknown_id) for each in ids]
    answers = reference.labelled or reference
    best = scores(answers.logits, checkpoint.problem_type)
    edges = _score_edges(best.max(axis=1), checkpoint.problem_type)
    return TrainingProfile(
        texts=len(profiled.texts),
        texts_origin=profiled.origin,
        answers=len(answers.sentences),
        answers_origin=answers.origin or "sentences to compare on",
        labels=_labels(checkpoint, best),
        score_edges=edges,
        scores=binned(edges, best.max(axis=1).tolist()),
        length_edges=list(LENGTH_EDGES),
        lengths=binned(LENGTH_EDGES, [len(each) for each in ids]),
        scripts=dict(Counter(script_of(text) for text in profiled.texts)),
        with_unknown=sum(1 for count in unknown if count),
        unknown_token_share=sum(unknown) / max(1, sum(map(len, ids))),
    )


def _labels(checkpoint: Checkpoint, best: Float32Array) -> dict[str, int]:
    found = (
        best_label(checkpoint.labels, checkpoint.problem_type, place, score)
        for place, score in zip(best.argmax(axis=1).tolist(), best.max(axis=1).tolist(), strict=True)
    )
    return dict(Counter(label for label in found if label is not None))


def _score_edges(values: Float32Array, problem_type: ProblemType) -> list[float]:
    if problem_type is not ProblemType.REGRESSION:
        return list(SCORE_EDGES)
    return sorted({float(edge) for edge in np.quantile(values, DECILES)})
