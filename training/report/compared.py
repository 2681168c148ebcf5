"""The new model beside the version that is served, on the same test texts, none of which either was trained on."""

from collections.abc import Sequence
from typing import Any

from repository.manifest import ProblemType
from training.data.examples import Example, Target
from training.figures.intervals import mcnemar, paired_intervals, score_intervals
from training.figures.scores import is_right
from training.report.served import ServedError, ServedVersion, served_version

LEAST_TEXTS = 10


def compared_with_served(
    examples: Sequence[Example],
    predicted: Sequence[Target],
    task: ProblemType,
    given: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Return how a model's answers differ from those of the version that is served.

    Args:
        examples: the test texts.
        predicted: the new model's answer to each.
        task: what a target is.
        given: a version folder or number; None: the served one of the model repository that the environment names.
        seed: of the draws.

    Returns:
        `compared` false with the `reason`, or true with `version`, `source`, `texts`, `left_out` (those that the
        version was trained on), `split_known` (whether anybody can say), the `served` version's figures and those of
        the `new` model on these texts, `difference` (new minus served, paired over groups), and `mcnemar` unless the
        answers are numbers.
    """
    try:
        with served_version(given) as version:
            return _compared(version, examples, predicted, task, seed)
    except ServedError as error:
        return {"compared": False, "reason": str(error)}


def _compared(
    version: ServedVersion, examples: Sequence[Example], predicted: Sequence[Target], task: ProblemType, seed: int
) -> dict[str, Any]:
    if version.manifest.problem_type is not task:
        kinds = f"{version.manifest.problem_type.value}, not {task.value}"
        return {"compared": False, "reason": f"{version.name} answers {kinds}."}
    unknown = [place for place, example in enumerate(examples) if not version.was_trained_on(example)]
    kept, answered = [examples[place] for place in unknown], [predicted[place] for place in unknown]
    left_out = len(examples) - len(kept)
    if len(kept) < LEAST_TEXTS:
        return {
            "compared": False,
            "reason": f"{version.name} was trained on {left_out} of the {len(examples)} test texts.",
        }
    truth = [example.target for example in kept]
    known = {label for example in kept for label in example.labels}
    if task is not ProblemType.REGRESSION and not known & set(version.manifest.labels):
        return {"compared": False, "reason": f"{version.name} has none of the labels of these texts."}
    groups = [example.group for example in kept]
    theirs = version.ask([example.text for example in kept]).answers
    found: dict[str, Any] = {
        "compared": True,
        "version": version.name,
        "source": version.manifest.source,
        "texts": len(kept),
        "left_out": left_out,
        "split_known": version.split is not None,
        "unknown_labels": sorted(known - set(version.manifest.labels)) if task is not ProblemType.REGRESSION else [],
    }
    for name, answers in (("new", answered), ("served", theirs)):
        by_name = score_intervals(truth, answers, groups, task, seed=seed)
        found[name] = {figure: interval.as_json() for figure, interval in by_name.items()}
    differences = paired_intervals(truth, answered, theirs, groups, task, seed=seed)
    found["difference"] = {figure: interval.as_json() for figure, interval in differences.items()}
    if task is not ProblemType.REGRESSION:
        right, other = ([is_right(*pair) for pair in zip(truth, each, strict=True)] for each in (answered, theirs))
        found["mcnemar"] = mcnemar(right, other).as_json()
    return found
