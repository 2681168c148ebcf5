"""Is a rounded graph good enough to be taken unasked? By what a user loses, and by how sure that is; needs no PyTorch.

Agreement alone counts coin tosses: where PyTorch itself is near a tie, another label is no worse. So what is asked, in
this order: enough sentences to tell; where they have true labels, figures that are not worse beyond a margin; where
they have none, answers that nearly all stay; and in any case no answer that changes where PyTorch is sure.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.parity.agreement import confident_changes, same_answer
from repository.automatic_rule import AutomaticRule
from repository.binomial import CONFIDENCE, fewest_cases, lower_bound
from repository.inference import Float32Array
from repository.manifest import FigureChange, JudgedTexts, Judgement, Precision, ProblemType
from training.data.examples import Target
from training.figures.intervals import paired_intervals
from training.figures.scores import answers_of

# Draws of fewer groups than some 20 are too much alike (see training.figures.intervals.intervals).
LEAST_GROUPS = 20
# The figures that may not be worse.
FIGURES = {
    ProblemType.SINGLE_LABEL: ("accuracy", "macro_f1"),
    ProblemType.MULTI_LABEL: ("exact_match", "macro_f1"),
    ProblemType.REGRESSION: ("mean_absolute_error",),
}


@dataclass(frozen=True)
class Answered:
    """Texts with two answers each."""

    origin: str
    """Which texts, in words."""
    expected: Float32Array
    """PyTorch's logits `[texts, labels]`."""
    found: Float32Array
    """The graph's."""


@dataclass(frozen=True)
class Labelled:
    """What is known of sentences beside their answers."""

    truth: Sequence[Target] | None
    groups: Sequence[str]
    """The group of each; a sentence that belongs to none has one of its own."""


def least_sentences(rule: AutomaticRule, with_truth: bool) -> int:
    """How many sentences it takes for the bound to be kept if not one answer changes."""
    allowed = 1 - rule.agreement
    if with_truth:
        allowed = min(rule.margin, allowed) if rule.always_agreement else rule.margin
    return fewest_cases(allowed)


def too_few(rule: AutomaticRule, sentences: int, with_truth: bool) -> str | None:
    """Why so many sentences cannot show anything, whatever is answered; None if they can."""
    least = least_sentences(rule, with_truth)
    what = "labelled sentences" if with_truth else "different sentences"
    return f"needs at least {least} {what} to be judged on, has {sentences}" if sentences < least else None


def judge(
    precision: Precision,
    sentences: Answered,
    known: Labelled,
    others: Sequence[Answered],
    labels: Sequence[str],
    task: ProblemType,
    rule: AutomaticRule,
    unit: float = 1.0,
) -> Judgement:
    """Hold a graph's answers against PyTorch's.

    Args:
        precision: the graph's.
        sentences: what it is judged on; no two are the same.
        known: their labels, if there are any, and their groups.
        others: further texts, of which only changed answers are counted.
        labels: the model's, in the order of the logits.
        task: the model's problem type.
        rule: what is asked.
        unit: of the answers (see `repository.tolerances.unit_of`).
    """
    judged = [_counted(texts, task) for texts in (sentences, *others)]
    count, groups = judged[0].texts, len(set(known.groups))
    bound = lower_bound(count - judged[0].changes, count)
    with_truth, margin = known.truth is not None, rule.margin * unit
    figures = _figures(sentences, known, labels, task)
    reason = too_few(rule, count, with_truth)
    objections = [reason] if reason else []
    if with_truth and groups < LEAST_GROUPS:
        objections.append(f"needs sentences of at least {LEAST_GROUPS} groups, has {groups}")
    objections += [_worse(name, change, margin) for name, change in figures.items() if _loss(name, change) > margin]
    if not reason and (not with_truth or rule.always_agreement) and bound < rule.agreement:
        changed = f"{judged[0].changes} of {count} answers change"
        objections.append(f"{changed}, so that no more than {bound:.2%} are sure to stay, {rule.agreement:.2%} needed")
    for texts in judged:
        allowed = math.floor(rule.confident_changes * texts.texts + 1e-9)
        if texts.confident_changes > allowed:
            changed = f"{texts.confident_changes} of {texts.texts} answers change where PyTorch is sure"
            objections.append(f"{changed} ({texts.origin}), {allowed} allowed")
    return Judgement(
        precision=precision,
        margin=margin,
        groups=groups,
        judged=judged,
        agreement_at_worst=bound,
        figures=figures,
        objections=objections,
    )


def _counted(texts: Answered, task: ProblemType) -> JudgedTexts:
    same = same_answer(texts.found, texts.expected, task)
    confident = confident_changes(texts.found, texts.expected, task)
    return JudgedTexts(
        origin=texts.origin, texts=len(same), changes=int((~same).sum()), confident_changes=int(confident.sum())
    )


def _figures(sentences: Answered, known: Labelled, labels: Sequence[str], task: ProblemType) -> dict[str, FigureChange]:
    """The change of each figure, as far as it exists."""
    if known.truth is None:
        return {}
    found, expected = (answers_of(logits, labels, task) for logits in (sentences.found, sentences.expected))
    # The ends of a two-sided interval of 90 % are the bounds of the one-sided ones of 95 %.
    two_sided = 2 * CONFIDENCE - 1
    changes = paired_intervals(known.truth, found, expected, known.groups, task, level=two_sided)
    figures = {}
    for name in FIGURES[task]:
        interval = changes[name]
        at_worst = interval.high if _is_error(name) else interval.low
        if np.isfinite([interval.value, at_worst]).all():
            figures[name] = FigureChange(value=interval.value, at_worst=at_worst)
    return figures


def _is_error(name: str) -> bool:
    return name == "mean_absolute_error"


def _loss(name: str, change: FigureChange) -> float:
    """By how much a figure may be worse."""
    return change.at_worst if _is_error(name) else -change.at_worst


def spoken(name: str) -> str:
    """A figure's name in a sentence."""
    return name.replace("_", " ").replace(" f1", "-F1")


def _worse(name: str, change: FigureChange, margin: float) -> str:
    direction = "higher" if _is_error(name) else "lower"
    return f"{spoken(name)} may be {_loss(name, change):.4f} {direction}, {margin:.4g} allowed"
