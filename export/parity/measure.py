"""Does the graph answer as PyTorch does, and does a sentence get the same answer alone, padded and in company?"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from export import Advance, ExportError
from export.checkpoint.load import Checkpoint
from export.graph.session import start_session
from export.parity.agreement import decided, same_answer
from export.parity.pipeline import hold_against_pipeline
from export.texts.golden_choice import choose_golden
from pretrained.batches import BATCH_SIZE, batches_by_length, fits
from pretrained.collate import collate
from pretrained.inputs import TOKEN_TYPE_IDS
from repository.inference import Float32Array, load_tokenizer, mask_of, pad_batch, scores
from repository.manifest import MODEL_FILE, Evaluation, HeldOut, Parity, ProblemType
from repository.tolerances import Tolerance
from training.data.examples import Target
from training.figures.scores import answers_of
from training.figures.scores import scores as figures

# Sentences that are also run one by one; a model of MiniLM's size takes a few seconds for them.
ALONE_SAMPLE = 256
# The figures that a manifest has fields for.
FLAT = ("accuracy", "macro_f1")
# Pairs of sentences beside them, where the model tells two texts apart: that shows in the first few.
PAIRS = 16


@dataclass(frozen=True)
class Reference:
    """PyTorch's answers: logits `[sentences, labels]`, and the true labels where they are known."""

    sentences: list[str]
    logits: Float32Array
    truth: list[Target] | None
    labelled: "Reference | None" = None
    """Sentences with true labels that accuracy is measured on, where these have none."""
    pairs: Sequence[tuple[str, str]] = ()
    """Pairs of texts, for models that tell two texts apart."""
    pair_logits: Float32Array | None = None
    """`[pairs, labels]`"""
    held_out: HeldOut | None = None
    origin: str | None = None
    """Which sentences these are, as in the manifest."""

    @property
    def texts(self) -> list[str | tuple[str, str]]:
        """Sentences, then pairs."""
        return [*self.sentences, *self.pairs]

    @property
    def text_logits(self) -> Float32Array:
        """`[sentences + pairs, labels]`"""
        return self.logits if self.pair_logits is None else np.concatenate([self.logits, self.pair_logits])


def reference_answers(
    checkpoint: Checkpoint, sentences: list[str], truth: list[Target] | None, advance: Advance
) -> Reference:
    """Ask the PyTorch model, tokenized by the checkpoint's own tokenizer; pairs too, if it tells two texts apart.

    Sentences that give no token are left out. Raises ExportError if none gives one, or if the pipeline itself answers
    otherwise.
    """
    told = [index for index, sentence in enumerate(sentences) if encode(checkpoint, sentence)]
    if not told:
        raise ExportError(f"{checkpoint.name}: its tokenizer makes no token of any sentence to compare on")
    sentences, truth = [sentences[index] for index in told], truth and [truth[index] for index in told]
    pairs = _pairs(sentences) if checkpoint.token_types else []
    encoded = [*(_encode(checkpoint, each) for each in sentences), *(_encode(checkpoint, *pair) for pair in pairs)]
    logits = _pytorch_logits(checkpoint, encoded, advance)
    count = len(sentences)
    texts: list[str | tuple[str, str]] = [*sentences, *pairs]
    golden = choose_golden(texts, [len(each["input_ids"]) for each in encoded])
    hold_against_pipeline(checkpoint, texts, logits, golden)
    return Reference(sentences, logits[:count], truth, pairs=pairs, pair_logits=logits[count:])


def plain_answers(checkpoint: Checkpoint, texts: list[str], origin: str, advance: Advance) -> Reference:
    """Ask the PyTorch model texts that each give a token, and nothing beside them."""
    logits = _pytorch_logits(checkpoint, [_encode(checkpoint, text) for text in texts], advance)
    return Reference(texts, logits, None, origin=origin)


def _pytorch_logits(checkpoint: Checkpoint, encoded: Sequence[dict[str, list[int]]], advance: Advance) -> Float32Array:
    logits = np.empty((len(encoded), len(checkpoint.labels)), dtype=np.float32)
    for batch in batches_by_length([len(each["input_ids"]) for each in encoded]):
        inputs = collate([encoded[index] for index in batch], checkpoint.pad_token_id)
        with torch.inference_mode():
            answer = checkpoint.model(**inputs).logits.numpy()
        if answer.shape[1] != len(checkpoint.labels):
            raise ExportError(f"the model gives {answer.shape[1]} logits for {len(checkpoint.labels)} labels")
        logits[batch] = answer
        advance(len(batch))
    return logits


class Measured(NamedTuple):
    """What a graph answered, held against PyTorch."""

    parity: Parity
    evaluation: Evaluation | None
    logits: Float32Array
    """`[sentences, labels]`, in batches of neighbours in length."""


def measure(folder: Path, checkpoint: Checkpoint, reference: Reference, advance: Advance) -> Measured:
    """Ask the graph in `folder`, tokenized by `tokenizer.json` as the gateway does, and compare with PyTorch."""
    session = open_session(folder / MODEL_FILE)
    tokenizer = load_tokenizer(folder, checkpoint.max_length)
    encodings = tokenizer.encode_batch(reference.texts)
    ids = [encoding.ids for encoding in encodings]
    masks = [mask_of(encoding, checkpoint.token_types) for encoding in encodings]

    def ask(batch: Sequence[int], length: int | None = None) -> Float32Array:
        rows, kept = [ids[i] for i in batch], [masks[i] for i in batch]
        answer = session.run(None, pad_batch(rows, checkpoint.pad_token_id, length, kept))[0]
        advance(len(batch))
        return np.asarray(answer, dtype=np.float32)

    expected = reference.text_logits
    batched = np.empty_like(expected)
    for batch in batches_by_length(list(map(len, ids))):
        batched[batch] = ask(batch)
    # A fixed seed: the same checkpoint gets the same verdict every time.
    sample = random.Random(0).sample(range(len(ids)), min(ALONE_SAMPLE, len(ids)))
    alone = np.concatenate([ask([i], len(ids[i])) for i in sample])
    padded = _in_long_company(sample, ids, checkpoint.max_length, ask)
    flips, drift = _padding_effect(alone, [padded, batched[sample]], checkpoint.problem_type)
    count = len(reference.sentences)
    parity = Parity(
        sentences=count,
        pairs=len(reference.pairs),
        padded_label_flips=flips,
        max_padded_probability_difference=drift,
        **_differences(batched, expected, count, checkpoint.problem_type),
    )
    labelled, logits = reference, batched[:count]
    if reference.labelled is not None:
        labelled = reference.labelled
        logits = _session_logits(session, tokenizer, checkpoint, labelled.sentences)
    return Measured(parity, _evaluate(logits, labelled, checkpoint), batched[:count])


def violations(parity: Parity, evaluation: Evaluation | None, tolerance: Tolerance) -> list[str]:
    """What is outside the tolerance, each with the number measured and the number allowed."""
    found = []
    limit = tolerance.max_logit_difference
    # Written so that a NaN is a violation too.
    if limit is not None and not parity.max_logit_difference <= limit:
        found.append(f"largest logit difference {parity.max_logit_difference:.2g}, {limit:g} allowed")
    if tolerance.label_agreement is not None and not parity.label_agreement >= tolerance.label_agreement:
        found.append(f"{parity.label_agreement:.2%} of labels agree, {tolerance.label_agreement:.2%} needed")
    if not parity.decided_label_agreement >= tolerance.decided_label_agreement:
        found.append(
            f"{parity.decided_label_agreement:.2%} of labels agree where PyTorch is decided, "
            f"{tolerance.decided_label_agreement:.2%} needed"
        )
    if parity.padded_label_flips and not tolerance.padded_label_flips:
        found.append(f"{parity.padded_label_flips} labels change when the sentence is padded or batched, 0 allowed")
    drift = parity.max_padded_probability_difference
    if tolerance.padded_drift is not None and not drift <= tolerance.padded_drift:
        found.append(f"a probability changes by {drift:.2g} when padded or batched, {tolerance.padded_drift:g} allowed")
    if evaluation is not None and evaluation.macro_f1 is not None and evaluation.checkpoint_macro_f1 is not None:
        drop = evaluation.checkpoint_macro_f1 - evaluation.macro_f1
        if not drop <= tolerance.macro_f1_drop:
            found.append(f"macro-F1 falls by {drop:.4f}, {tolerance.macro_f1_drop:g} allowed")
    return found


def open_session(path: Path) -> Any:
    """An ONNX Runtime session on the CPU, or on the GPU where onnxruntime-gpu finds one.

    Raises:
        ExportError: ONNX Runtime refuses the graph.
    """
    try:
        return start_session(path)
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        raise ExportError(f"ONNX Runtime refuses the exported graph: {' '.join(str(error).split())[:300]}") from None


def encode(checkpoint: Checkpoint, sentence: str) -> list[int]:
    """Token ids by the checkpoint's own tokenizer, cut at the model's limit."""
    return _encode(checkpoint, sentence)["input_ids"]


def _encode(checkpoint: Checkpoint, *texts: str) -> dict[str, list[int]]:
    """What the pipeline would give the model, but for the mask: ids, and token types where it has a use for them."""
    encoded = checkpoint.tokenizer(*texts, truncation=True, max_length=checkpoint.max_length)
    names = ("input_ids", TOKEN_TYPE_IDS) if checkpoint.token_types else ("input_ids",)
    return {name: [int(value) for value in encoded[name]] for name in names}


def _pairs(sentences: Sequence[str]) -> list[tuple[str, str]]:
    """A few sentences from all over, each with the one that lies half of them further on."""
    count = len(sentences)
    places = [place * count // PAIRS for place in range(PAIRS)] if count > PAIRS else range(count)
    return [(sentences[place], sentences[(place + count // 2) % count]) for place in places]


def _differences(
    found: Float32Array, expected: Float32Array, count: int, problem_type: ProblemType
) -> dict[str, float]:
    """Over the first `count` texts, which are sentences, and the pairs behind them.

    What a model answers to pairs of sentences that have nothing to do with each other says nothing of real ones: their
    labels are not counted.
    """
    same = same_answer(found[:count], expected[:count], problem_type)
    clear = decided(expected[:count], problem_type)
    probabilities = scores(found, problem_type), scores(expected, problem_type)
    return {
        "max_logit_difference": float(np.abs(found - expected).max()),
        "max_probability_difference": float(np.abs(probabilities[0] - probabilities[1]).max()),
        "label_agreement": float(same.mean()),
        "decided_label_agreement": float(same[clear].mean()) if clear.any() else 1.0,
    }


def graph_logits(folder: Path, checkpoint: Checkpoint, sentences: Sequence[str]) -> Float32Array:
    """The graph's logits `[sentences, labels]`, in batches of neighbours in length."""
    session, tokenizer = open_session(folder / MODEL_FILE), load_tokenizer(folder, checkpoint.max_length)
    return _session_logits(session, tokenizer, checkpoint, sentences)


def _session_logits(session: Any, tokenizer: Any, checkpoint: Checkpoint, sentences: Sequence[str]) -> Float32Array:
    encodings = tokenizer.encode_batch(list(sentences))
    ids = [encoding.ids for encoding in encodings]
    masks = [mask_of(encoding, checkpoint.token_types) for encoding in encodings]
    logits = np.empty((len(ids), len(checkpoint.labels)), dtype=np.float32)
    for batch in batches_by_length(list(map(len, ids))):
        rows, kept = [ids[i] for i in batch], [masks[i] for i in batch]
        logits[batch] = session.run(None, pad_batch(rows, checkpoint.pad_token_id, masks=kept))[0]
    return logits


def _in_long_company(
    sample: Sequence[int], ids: Sequence[Sequence[int]], max_length: int, ask: Callable[..., Float32Array]
) -> Float32Array:
    """Answers for the sample in batches of random neighbours, padded to several times their length."""
    rows: list[Float32Array] = []
    start = 0
    while start < len(sample):
        size = BATCH_SIZE
        while True:
            batch = sample[start : start + size]
            length = min(max_length, 4 * max(len(ids[i]) for i in batch))
            if fits(len(batch), length):
                break
            size = len(batch) // 2
        rows.append(ask(batch, length))
        start += len(batch)
    return np.concatenate(rows)


def _padding_effect(
    alone: Float32Array, others: Sequence[Float32Array], problem_type: ProblemType
) -> tuple[int, float]:
    flipped = np.zeros(len(alone), dtype=bool)
    drift = 0.0
    for other in others:
        flipped |= ~same_answer(alone, other, problem_type)
        drift = max(drift, float(np.abs(scores(alone, problem_type) - scores(other, problem_type)).max()))
    return int(flipped.sum()), drift


def usable_truth(reference: Reference, task: ProblemType) -> list[Target] | None:
    """The true labels or numbers, where they are what the model answers; None where they are not."""
    truth = reference.truth
    if truth is None or any(isinstance(target, float) for target in truth) != (task is ProblemType.REGRESSION):
        return None
    return truth


def _evaluate(logits: Float32Array, reference: Reference, checkpoint: Checkpoint) -> Evaluation | None:
    task = checkpoint.problem_type
    if (truth := usable_truth(reference, task)) is None:
        return None
    found = {
        prefix: figures(truth, answers_of(given, checkpoint.labels, task), task)
        for prefix, given in (("", logits), ("checkpoint_", reference.logits))
    }
    flat = {f"{prefix}{name}": of[name] for prefix, of in found.items() for name in FLAT if name in of}
    others = {
        f"{prefix}figures": {name: value for name, value in of.items() if name not in FLAT and np.isfinite(value)}
        for prefix, of in found.items()
    }
    return Evaluation(sentences=len(truth), **flat, **others)
