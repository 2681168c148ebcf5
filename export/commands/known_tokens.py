"""Leaves out sentences in which a tokenizer finds no token; the gateway refuses them, too."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from export import ExportError
from repository.console import Console

if TYPE_CHECKING:
    from export.checkpoint.load import Checkpoint
    from export.texts.sentences import ChosenSentences, JudgedSentences

errors = Console(stderr=True)


def with_tokens(checkpoint: "Checkpoint", path: Path, chosen: "ChosenSentences") -> "ChosenSentences":
    """Those in which the tokenizer finds a token, with their labels.

    Raises:
        ExportError: it finds none in any that are compared.
    """
    judged = chosen.judged.sentences if chosen.judged else []
    without = _empty(checkpoint, (*chosen.compared, *chosen.calibration, *judged))
    if not without:
        return chosen
    lacking = sum(sentence in without for sentence in (*chosen.compared, *chosen.calibration, *judged))
    found = f"{path}: {lacking} sentences have no token that the model knows"
    kept = [place for place, sentence in enumerate(chosen.compared) if sentence not in without]
    first = next(iter(without))
    if not kept:
        raise ExportError(f"{found}, such as {first[:60]!r}: give others")
    errors.print(f"Warning: {found}, and are left out: {first[:60]!r} is the first.")
    return replace(
        chosen,
        compared=[chosen.compared[place] for place in kept],
        truth=[chosen.truth[place] for place in kept] if chosen.truth is not None else None,
        calibration=[sentence for sentence in chosen.calibration if sentence not in without],
        judged=chosen.judged and _without(chosen.judged, without),
    )


def judged_with_tokens(checkpoint: "Checkpoint", path: Path, judged: "JudgedSentences") -> "JudgedSentences | None":
    """The same of sentences to judge a precision on; None if none is left."""
    if not (without := _empty(checkpoint, judged.sentences)):
        return judged
    errors.print(f"Warning: {path}: {len(without)} sentences have no token that the model knows, and are left out.")
    return _without(judged, without)


def _empty(checkpoint: "Checkpoint", sentences: Iterable[str]) -> dict[str, None]:
    """In order and each once; tokenizing them all is what takes the time here."""
    from export.parity.measure import encode

    return {sentence: None for sentence in dict.fromkeys(sentences) if not encode(checkpoint, sentence)}


def _without(judged: "JudgedSentences", empty: dict[str, None]) -> "JudgedSentences | None":
    kept = [place for place, sentence in enumerate(judged.sentences) if sentence not in empty]
    if not kept:
        return None
    return replace(
        judged,
        sentences=[judged.sentences[place] for place in kept],
        truth=[judged.truth[place] for place in kept] if judged.truth is not None else None,
        groups=[judged.groups[place] for place in kept],
    )
