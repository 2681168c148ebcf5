"""The report says what calibration, thresholds and label sets would bring, on texts that had no say in them."""

import json
from typing import Any

import pytest

from repository.manifest import ProblemType
from repository.strict_json import strict_json
from tests.reports import HOSTILE, NUMBERS, made_up_data, made_up_logits, made_up_report
from training.data.examples import Example
from training.report.calibrated import calibrated_facts
from training.report.findings import findings
from training.report.html_report import html_report

SINGLE, MULTI = ProblemType.SINGLE_LABEL, ProblemType.MULTI_LABEL
ENOUGH = {"train": 60, "validation": 120, "test": 120}


def facts_of(task: ProblemType) -> dict[str, Any]:
    data = made_up_data(task, ENOUGH)
    found = calibrated_facts(data, made_up_logits(data), data.labels)
    assert found is not None
    return found


def report_of(task: ProblemType) -> dict[str, Any]:
    report = made_up_report(task)
    report["test"]["calibrated"] = facts_of(task)
    kept: dict[str, Any] = json.loads(strict_json(report))
    return kept


def test_a_model_that_is_too_sure_is_brought_down_on_test_texts() -> None:
    found = facts_of(SINGLE)
    test = found["fit"]["test"]
    assert found["fit"]["temperature"] > 1.5
    assert test["calibrated_error"]["value"] < test["error"]["value"]
    assert test["calibrated_log_loss"] < test["log_loss"]
    assert found["reliability"]["expected_calibration_error"]["value"] == pytest.approx(
        test["calibrated_error"]["value"], abs=1e-4
    )
    assert found["thresholds"] is None
    assert [one["coverage"] for one in found["coverage"]["test"]] == [0.8, 0.9, 0.95]


def test_several_labels_have_sigmoids_and_thresholds() -> None:
    found = facts_of(MULTI)
    assert len(found["fit"]["slopes"]) == len(found["thresholds"]["labels"]) == 3
    assert found["coverage"] is None


@pytest.mark.parametrize("task", [SINGLE, MULTI])
def test_the_page_shows_it_and_lets_no_label_act(task: ProblemType) -> None:
    page = html_report(report_of(task))
    assert '<h2 id="calibrated-title">Calibrated scores</h2>' in page
    assert (">Sets of labels<" in page) == (task is SINGLE)
    assert (">Thresholds<" in page) == (task is MULTI)
    assert HOSTILE not in page
    assert "<script" not in page


def test_the_findings_say_what_calibration_makes_of_the_error() -> None:
    (sentence,) = [one for one in findings(report_of(SINGLE)) if "expected calibration error" in one]
    assert "with a temperature of" in sentence
    assert sentence.endswith("fitted on validation.")
    (sentence,) = [one for one in findings(report_of(MULTI)) if "expected calibration error" in one]
    assert "with a sigmoid for each label" in sentence


def test_there_is_nothing_of_numbers_of_few_texts_or_of_labels_that_the_model_lacks() -> None:
    numbers = made_up_data(NUMBERS, ENOUGH)
    assert calibrated_facts(numbers, made_up_logits(numbers), numbers.labels) is None
    few = made_up_data(SINGLE)
    assert calibrated_facts(few, made_up_logits(few), few.labels) is None
    data = made_up_data(SINGLE, ENOUGH)
    logits, labels = made_up_logits(data), list(data.labels)
    data.splits["test"].append(Example("new", "Unheard of", "g"))
    assert calibrated_facts(data, logits, labels) is None
