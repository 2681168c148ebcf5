"""The model card, README.md: what a model is, how good it is, and Hugging Face's metadata for machines."""

import html
import re
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from repository.figures import NAMES
from repository.names import visible
from training.report.contents import shown
from training.report.findings import distilled_in_words, findings, headline
from training.report.settings import UNKNOWN_LICENSE

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)
# As Hugging Face's hub takes them: ISO 639; of `eng_Latn` and `pt-BR` the first part.
_LANGUAGE = re.compile(r"[a-z]{2,3}(?=$|[_-])")
# Names of metrics on the hub, where they have one.
_METRICS = {
    "accuracy": "accuracy",
    "macro_f1": "f1",
    "micro_f1": "f1",
    "exact_match": "exact_match",
    "mean_absolute_error": "mae",
    "root_mean_squared_error": "rmse",
    "r2": "r_squared",
    "spearman": "spearmanr",
}
_TASKS = {
    "single_label_classification": "Each text gets one of the labels",
    "multi_label_classification": "Each text gets those of the labels that are true of it, or none",
    "regression": "Each text gets a number",
}


def model_card(report: dict[str, Any], name: str, license_id: str = UNKNOWN_LICENSE) -> str:
    """Return the text of the card.

    Args:
        report: what `training_report.json` holds; none of its texts get into the card.
        name: of the model.
        license_id: of the model, as Hugging Face writes it.
    """
    data = ModelCardData(
        language=_languages(report) or None,
        license=license_id,
        library_name="transformers",
        pipeline_tag="text-classification",
        tags=["text-classification", report["task"].replace("_", "-")],
        base_model=report["base_model"] if _HUB_ID.fullmatch(report["base_model"]) else None,
        datasets=[report["data"]["file"]] if _HUB_ID.fullmatch(report["data"]["file"]) else None,
        metrics=sorted({_METRICS[figure] for figure in report["test"] if figure in NAMES}),
        model_name=name,
        eval_results=_results(report),
    )
    return str(ModelCard(f"---\n{data.to_yaml()}\n---\n\n{_body(report, name)}"))


def _languages(report: dict[str, Any]) -> list[str]:
    found = (_LANGUAGE.match(language.lower()) for language in report["test"]["per_language"])
    return sorted({match[0] for match in found if match})


def _results(report: dict[str, Any]) -> list[EvalResult]:
    test = report["test"]
    return [
        EvalResult(
            task_type="text-classification",
            dataset_type=visible(report["data"]["file"]),
            dataset_name=visible(report["data"]["file"]),
            dataset_split="test",
            metric_type=_METRICS[figure],
            metric_name=NAMES[figure],
            metric_value=test[figure],
            metric_args={"interval_95": bounds} if (bounds := test.get("intervals", {}).get(figure)) else None,
        )
        for figure in test
        if figure in NAMES and test[figure] is not None
    ]


def _body(report: dict[str, Any], name: str) -> str:
    test, data = report["test"], report["data"]
    parts = [f"# {_safe(name)}", ""]
    parts += [f"A fine-tuned text classifier. {_TASKS[report['task']]}: {', '.join(map(_code, report['labels']))}.", ""]
    parts += ["## How good it is", "", *(f"- {_safe(sentence)}" for sentence in findings(report)), ""]
    parts += ["| figure | test | 95 % interval |", "|---|---|---|"]
    for figure in (figure for figure in test if figure in NAMES):
        bounds = test.get("intervals", {}).get(figure)
        between = f"{shown(bounds[0])} to {shown(bounds[1])}" if bounds else "–"
        parts.append(f"| {NAMES[figure]} | {shown(test[figure])} | {between} |")
    if test["per_class"]:
        parts += ["", "| class | F1 | precision | recall | texts |", "|---|---|---|---|---|"]
        for label, of_class in test["per_class"].items():
            figures = (shown(of_class[figure]) for figure in ("f1", "precision", "recall"))
            parts.append(f"| {_safe(label)} | {' | '.join(figures)} | {of_class['support']} |")
    parts += ["", "Intervals are over whole " + data["unit"] + ", drawn anew with replacement.", ""]
    parts += ["## What it was trained on", ""]
    parts.append(
        f"{_safe(data['file'])}: {data['splits']['train']['examples']} texts to train on, "
        f"{data['splits']['validation']['examples']} to choose the epoch on, {test['support']} to test on"
        + (", no group in two of them." if data["split_kind"] != "rows" else ", of the same groups: it reads too well.")
    )
    start = f"Base model: {_safe(report['base_model'])}."
    if further := report.get("trained_further_from"):
        start += f" Trained further from {_safe(further)}."
    if teacher := report.get("teacher"):
        start += f" {distilled_in_words(teacher, _safe)}"
    parts += ["", f"{start} Best epoch: {report['best_epoch']}.", ""]
    parts += ["## Limits", "", _limits(report), ""]
    return "\n".join(parts)


def _limits(report: dict[str, Any]) -> str:
    limits = f"Texts are cut after {report['sequence_limit']} tokens. "
    languages = sorted(report["test"]["per_language"])
    if languages:
        limits += f"It was tested on texts in {', '.join(map(_safe, languages))}; of others nothing is known. "
    return f"{limits}It answers what its labels allow, also where none fits; {NAMES[headline(report)]} says how often."


def _safe(text: object) -> str:
    """Data as text in Markdown, which would take it for HTML, a table's border or a link."""
    return re.sub(r"([\\`*_\[\]|~])", r"\\\1", html.escape(visible(str(text)), quote=False))


def _code(text: object) -> str:
    return f"**{_safe(text)}**"
