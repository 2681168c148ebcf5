"""What a report says, in a few sentences: the figures that a person would look for first."""

from collections.abc import Callable
from typing import Any

from repository.figures import NAMES
from training.report.contents import compared_in_words, shown

_ERRORS = ("mean_absolute_error", "root_mean_squared_error")
# A class or language of fewer texts says little by itself.
_LEAST_TEXTS = 20
_GAP = 0.03


def findings(report: dict[str, Any]) -> list[str]:
    """Return sentences about a report; each is left out where the report has nothing to say of it."""
    found = [
        _level(report),
        beside_teacher(report),
        _beside_baseline(report),
        _served(report),
        _weakest(report, "per_class", "class"),
    ]
    found += [_weakest(report, "per_language", "language"), _calibrated(report), _more_data(report)]
    return [sentence for sentence in found if sentence]


def distilled_in_words(teacher: dict[str, Any], shown_name: Callable[[object], str] = str) -> str:
    """Return from whom a student learned, and with which layers it began, if any."""
    layers = ", ".join(map(str, teacher["kept"]))
    texts = teacher["texts"]
    more = texts["unlabelled"] + texts["recombined"] + texts.get("pieces", 0)  # older reports have none
    also = f", also by its answers to {more} texts without a label" if more else ""
    began = (
        f"of its {teacher['layers']} layers, counted from 0, it began with {layers} ({teacher['chosen']})"
        if layers
        else f"of its {teacher['layers']} layers it has none, but {teacher['chosen']}: for each token a vector that "
        "began as what the last layer gives for it alone"
    )
    return f"Distilled from {shown_name(teacher['name'])}{also}: {began}."


def headline(report: dict[str, Any]) -> str:
    """Return the name of the figure by which models of this kind are compared."""
    return "mean_absolute_error" if report["task"] == "regression" else "macro_f1"


def _level(report: dict[str, Any]) -> str:
    test, name = report["test"], headline(report)
    bounds = test.get("intervals", {}).get(name)
    if test[name] is None or not bounds:
        return ""
    unit, figure = report["data"]["unit"], NAMES[name]
    return (
        f"{figure[0].upper()}{figure[1:]} is {_as(test[name])} "
        f"on {test['support']} test texts of {test['groups']} {unit}; with other {unit} it would be between "
        f"{_as(bounds[0])} and {_as(bounds[1])} (95 % confidence)."
    )


def beside_teacher(report: dict[str, Any]) -> str:
    """Return how a student's teacher does on the same texts; empty of a model that has none."""
    name, teacher = headline(report), report.get("teacher")
    if not teacher or teacher["test"][name] is None:
        return ""
    alike = teacher["agreement"].get("test")
    agree = f"; both answer the same to {100 * alike:.1f} % of them" if alike is not None else ""
    return (
        f"Its teacher of {teacher['layers']} layers, {teacher['name']}, has {_as(teacher['test'][name])} there{agree}."
    )


def _beside_baseline(report: dict[str, Any]) -> str:
    name, baseline = headline(report), report.get("baseline")
    if not baseline or baseline["test"][name] is None or report["test"][name] is None:
        return ""
    difference = report["test"][name] - baseline["test"][name]
    better = difference < 0 if name in _ERRORS else difference > 0
    model = baseline.get("model", "TF-IDF + logistic regression")
    how = f"is {_as(abs(difference))} {'better' if better else 'worse'} than" if difference else "is as good as"
    return f"It {how} the baseline, {model} ({_as(baseline['test'][name])})."


def _served(report: dict[str, Any]) -> str:
    served = report.get("served")
    return compared_in_words(served) if served and served["compared"] else ""


def _weakest(report: dict[str, Any], part: str, what: str) -> str:
    name = "f1" if part == "per_class" else headline(report)
    known = {
        key: found
        for key, found in report["test"].get(part, {}).items()
        if found["support"] >= _LEAST_TEXTS and found[name] is not None
    }
    if len(known) < 2:
        return ""
    pick = max if name in _ERRORS else min
    key = pick(known, key=lambda each: known[each][name])
    bounds = known[key].get("intervals", {}).get(name)
    between = f", {_as(bounds[0])} to {_as(bounds[1])}" if bounds else ""
    figure = "F1" if name == "f1" else NAMES[name]
    return f"The weakest {what} is {key}: {figure} {_as(known[key][name])}{between} ({known[key]['support']} texts)."


def _calibrated(report: dict[str, Any]) -> str:
    found = report["test"].get("calibration")
    if not found:
        return ""
    error = found["expected_calibration_error"]
    gap = found["mean_score"] - found["share_right"]
    if abs(gap) < _GAP:
        how = "scores are about as high as the share of right answers"
    else:
        side = "higher" if gap > 0 else "lower"
        how = f"scores are {side} than the share of right answers by {abs(gap):.2f} on average"
    return f"Its {how}; the expected calibration error is {shown(error['value'])}{_after(report)}."


def _after(report: dict[str, Any]) -> str:
    """What calibration makes of the error."""
    found = (report["test"].get("calibrated") or {}).get("fit")
    if not found or not found["test"]:
        return ""
    error, how = found["test"]["calibrated_error"], "a sigmoid for each label"
    if found["temperature"] is not None:
        how = f"a temperature of {found['temperature']:.3g}"
    between = f" ({shown(error['low'])} to {shown(error['high'])})" if error["low"] is not None else ""
    return f", and {shown(error['value'])}{between} with {how}, fitted on validation"


def _more_data(report: dict[str, Any]) -> str:
    curve = report.get("learning_curve")
    if not curve:
        return ""
    gain, name = curve["doubled"]["gain"], NAMES[curve["figure"]]
    sign = -1 if curve["figure"] in _ERRORS else 1
    low, high = sorted((sign * gain["low"], sign * gain["high"]))
    better = "lower" if sign < 0 else "higher"
    return (
        f"Twice as many {report['data']['unit']} to learn from would make the {name} of a simpler model "
        f"({curve['model']}) {_as(sign * gain['value'])} {better} ({_as(low)} to {_as(high)}), if its curve goes on."
    )


def _as(value: float) -> str:
    return shown(value) if abs(value) < 10 else f"{value:.4g}"
