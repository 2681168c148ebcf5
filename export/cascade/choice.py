"""Asks model and student, as they will be served, about held-out sentences, and says what the manifest is to say."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from export import ExportError, Step
from export.cascade.bars import NoCascadeError, choose_bars, confidences, figures_at
from export.graph.session import start_session
from export.precision.formats import provider_here
from export.texts.cascade_sentences import CascadeSentences
from export.version.speed import measure_speedup
from repository.cascade import Cascade
from repository.inference import Float32Array, load_tokenizer
from repository.manifest import Manifest
from training.figures.fitted_scores import fit_temperature
from training.report.served import ServedError, version_logits


def choose_cascade(model: Path, student: Path, sentences: CascadeSentences, delta: float, step: Step) -> Cascade:
    """What the manifest is to say of the student.

    Args:
        model: the version folder.
        student: the folder of the student, exported like a version; its tokenizer and labels are the model's.
        sentences: what it is chosen and reported on.
        delta: most of all sentences on which the student may answer otherwise.
        step: opens a progress bar.

    Raises:
        NoCascadeError: the student cannot answer in place of the model, or would save nothing.
        ExportError: a graph does not run.
    """
    own, student_manifest = Manifest.read(model), Manifest.read(student)
    sentences = _with_tokens(sentences, load_tokenizer(model, own.max_length))
    if not sentences.choosing:
        raise NoCascadeError("there is no sentence to choose a bar on that neither model was trained on")
    answers = _ask(model, own, sentences.choosing, step, "the model").argmax(axis=1)
    logits = _ask(student, student_manifest, sentences.choosing, step, "the student")
    # With the model's label in the place of the true one: how often the model answers the same.
    temperature = fit_temperature(logits, answers)
    bars = choose_bars(confidences(logits, temperature), logits.argmax(axis=1) == answers, delta)
    cost = _cost(model, student, own, sentences.choosing)
    if (coverage := bars[0].coverage) <= cost:
        raise NoCascadeError(
            f"the student would answer {coverage:.1%} of the sentences and takes {cost:.0%} of the model's time for "
            "each: nothing is won"
        )
    cascade = Cascade(
        source=student_manifest.source,
        precision=student_manifest.precision.value,
        delta=delta,
        temperature=temperature,
        bars=bars,
        origin=sentences.origin,
        cost=cost,
    )
    if not sentences.reporting:
        return cascade
    return _reported(cascade, model, student, (own, student_manifest), sentences, step)


def _reported(
    cascade: Cascade,
    model: Path,
    student: Path,
    manifests: tuple[Manifest, Manifest],
    sentences: CascadeSentences,
    step: Step,
) -> Cascade:
    """The same with what it does on sentences that had no say in it."""
    texts, (own, student_manifest) = sentences.reporting, manifests
    answers = _ask(model, own, texts, step, "the model to report").argmax(axis=1)
    logits = _ask(student, student_manifest, texts, step, "the student to report")
    confidence, bar = confidences(logits, cascade.temperature), cascade.bars[0].bar
    agrees = logits.argmax(axis=1) == answers
    found = {"test": figures_at(bar, confidence, agrees)}
    places = [place for place, text in enumerate(texts) if sentences.truth.get(text) in own.labels]
    if not places:
        return cascade.model_copy(update=found)
    truth = np.array([own.labels.index(sentences.truth[texts[place]]) for place in places])
    mixed = np.where(confidence >= bar, logits.argmax(axis=1), answers)
    accuracies = {"test_accuracy": (mixed[places] == truth).mean(), "model_accuracy": (answers[places] == truth).mean()}
    return cascade.model_copy(update={**found, **{name: float(value) for name, value in accuracies.items()}})


def _with_tokens(sentences: CascadeSentences, tokenizer: Any) -> CascadeSentences:
    """Without those in which the tokenizer finds none: the gateway refuses them."""
    choosing, reporting = (
        [text for text, encoding in zip(texts, tokenizer.encode_batch(texts), strict=True) if encoding.ids]
        for texts in (sentences.choosing, sentences.reporting)
    )
    return replace(sentences, choosing=choosing, reporting=reporting)


def _ask(folder: Path, manifest: Manifest, texts: Sequence[str], step: Step, who: str) -> Float32Array:
    """Logits `[texts, labels]`."""
    try:
        with step(f"Asking {who}", len(texts)) as advance:
            return version_logits(folder, manifest, texts, start_session, advance)
    except ServedError as error:
        raise ExportError(str(error)) from None


def _cost(model: Path, student: Path, manifest: Manifest, texts: Sequence[str]) -> float:
    """The student's time for a batch as a share of the model's."""
    inputs = (manifest.max_length, manifest.pad_token_id, manifest.token_types)
    return round(1 / measure_speedup(student, model, texts, *inputs, provider_here()), 3)
