"""A report holds what a person judges a model by, for each kind of target, and nothing in it is taken for markup."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard

from repository.manifest import CARD_FILE, REPORT_PAGE, ProblemType
from repository.store import ModelStore
from tests.reports import HOSTILE, LABELS, made_up_data, made_up_logits, made_up_report
from tests.version_folders import write_version
from training.data.split_record import SplitRecord
from training.figures.baseline import fit_baseline
from training.figures.calibration import calibration
from training.figures.learning_curve import learning_curve
from training.figures.linear import LinearModel
from training.figures.nearest import by_words
from training.figures.scores import scores
from training.report.compared import compared_with_served
from training.report.contents import REPORT_FILE
from training.report.files import PREDICTIONS_FILE, write_predictions, write_report
from training.report.findings import findings
from training.report.judging import judge
from training.report.settings import ReportKind

TASKS = list(ProblemType)


@pytest.fixture(scope="module")
def reports() -> dict[ProblemType, dict[str, Any]]:
    return {task: made_up_report(task) for task in TASKS}


@pytest.fixture(autouse=True)
def _no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_REPOSITORY", str(tmp_path / "models"))


def test_the_calibration_error_is_the_mean_distance_of_score_and_share_right() -> None:
    # Ten answers at 0.8 of which six are right, ten at 0.6 of which six are right.
    scores_given = np.array([[0.8, 0.2]] * 10 + [[0.6, 0.4]] * 10, dtype=np.float32)
    truth = (["a"] * 6 + ["b"] * 4) * 2
    groups = [str(place) for place in range(20)]
    found = calibration(truth, scores_given, ["a", "b"], groups, ProblemType.SINGLE_LABEL)
    assert found is not None
    error = found["expected_calibration_error"]
    assert error["value"] == pytest.approx(0.1)
    assert error["low"] < 0.1 < error["high"]
    assert [(one["count"], one["share_right"]) for one in found["bins"] if one["count"]] == [(10, 0.6), (10, 0.6)]
    assert (found["mean_score"], found["share_right"]) == (pytest.approx(0.7), pytest.approx(0.6))


def test_the_worst_mistakes_are_the_surest_wrong_answers_with_training_texts_like_them(
    reports: dict[ProblemType, dict[str, Any]],
) -> None:
    found = reports[ProblemType.SINGLE_LABEL]["mistakes"]
    assert 0 < len(found["worst"]) == found["wrong"] <= 50
    losses = [one["loss"] for one in found["worst"]]
    assert losses == sorted(losses, reverse=True)
    for one in found["worst"]:
        assert one["truth"] != one["answer"]
        assert one["nearest"][0]["target"] == one["truth"]  # its word is that of its class
    errors = [one["loss"] for one in reports[ProblemType.REGRESSION]["mistakes"]["worst"]]
    assert errors == sorted(errors, reverse=True)
    assert len(errors) == 48


@pytest.mark.parametrize("task", TASKS)
def test_the_baseline_and_the_curve_exist_for_each_kind_of_target(task: ProblemType) -> None:
    data = made_up_data(task)
    texts = {name: [example.text for example in members] for name, members in data.splits.items()}
    targets = {name: [example.target for example in members] for name, members in data.splits.items()}
    train, validation = (texts["train"], targets["train"]), (texts["validation"], targets["validation"])
    fitted = fit_baseline(train, validation, texts["test"], 0, task)
    reached = scores(targets["test"], fitted.test_predictions, task)
    assert reached["macro_f1"] > 0.6 if task is not ProblemType.REGRESSION else reached["r2"] > 0.8
    # Features that say nothing but the class, a part of the time: more groups bring more.
    generator = np.random.default_rng(0)
    features = {name: generator.normal(size=(len(data.splits[name]), 6)) for name in ("train", "test")}  # type: ignore[index]
    for name, matrix in features.items():
        for row, example in enumerate(data.splits[name]):  # type: ignore[index]
            matrix[row, row // 4 % 3] += 2
            assert example.group
    model = LinearModel(task, "features", 1.0, scaled=True)
    sides = [(features[name], data.splits[name]) for name in ("train", "test")]  # type: ignore[index]
    curve = learning_curve(sides[0], sides[1], data.labels, task, model)
    assert curve is not None
    assert [point["groups"] for point in curve["points"]] == [2, 4, 8, 15]
    assert [len(point["values"]) for point in curve["points"]][-1] == 1
    doubled = curve["doubled"]
    assert doubled["groups"] == 30
    assert doubled["value"]["low"] <= doubled["value"]["value"] <= doubled["value"]["high"]
    assert "features" in curve["model"]


class _Texts(HTMLParser):
    """The elements of a page and what is written in it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("task", TASKS)
def test_the_page_shows_hostile_texts_as_text_and_asks_no_host(
    reports: dict[ProblemType, dict[str, Any]], task: ProblemType, tmp_path: Path
) -> None:
    name = "macro_f1" if task is ProblemType.SINGLE_LABEL else "mean_absolute_error"
    nothing = {"value": 0.5, "low": float("nan"), "high": float("nan")}
    served: dict[str, Any] = {"compared": True, "version": HOSTILE, "source": HOSTILE, "texts": 9, "left_out": 3}
    served |= {"split_known": False, "unknown_labels": [HOSTILE], "new": {name: nothing}}
    if task is ProblemType.SINGLE_LABEL:
        served["mcnemar"] = {"only_first_right": 2, "only_second_right": 1, "exact_p": 1.0, "mid_p": 1.0}
        nothing |= {"low": 0.1, "high": 0.9}
    served |= {"served": {name: nothing}, "difference": {name: nothing}}
    write_report({**reports[task], "served": served}, tmp_path, ReportKind.full, "model")
    page = (tmp_path / REPORT_PAGE).read_text(encoding="utf-8")
    found = _Texts()
    found.feed(page)
    assert not {"img", "script", "iframe", "object", "form", "base"} & found.tags
    assert HOSTILE in found.text
    assert not re.search(r"\b(nan|None|Undefined)\b", found.text)
    assert "3 that it was trained on are left out" in found.text
    assert "\\u202eevil" in found.text
    assert not [name for name, _ in found.attributes if name.startswith("on") or name in ("style", "src")]
    assert all(str(value).startswith(("data:,", "#")) for name, value in found.attributes if name == "href")
    assert "<!doctype html>" in page[:40].lower()
    assert "holds sentences from the data" in found.text
    assert page.count("<table") == page.count("<caption")
    policy = dict(found.attributes)["content"] or ""
    assert "unsafe" not in page.split("<style>")[0] + policy


@pytest.mark.parametrize("task", TASKS)
def test_without_texts_not_a_word_of_the_data_is_in_any_file(
    reports: dict[ProblemType, dict[str, Any]], task: ProblemType, tmp_path: Path
) -> None:
    data = made_up_data(task)
    for kind in (ReportKind.figures, ReportKind.none):
        folder = tmp_path / kind.value
        folder.mkdir()
        write_report(reports[task], folder, kind, "model")
        write_predictions(data, made_up_logits(data)["test"], folder)
        written = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
        assert not [name for name, text in written.items() if "cooking" in text or "meeting" in text]
        assert (REPORT_PAGE in written) == (CARD_FILE in written) == (kind is ReportKind.figures)
        lines = [json.loads(line) for line in written[PREDICTIONS_FILE].splitlines()]
        assert len(lines) == 48
        assert lines[0]["row"] == data.splits["test"][0].row
        assert json.loads(written[REPORT_FILE])["test"] == json.loads(json.dumps(reports[task]["test"]))


@pytest.mark.parametrize("task", TASKS)
def test_the_model_card_is_one_to_hugging_face(
    reports: dict[ProblemType, dict[str, Any]], task: ProblemType, tmp_path: Path
) -> None:
    write_report(reports[task], tmp_path, ReportKind.full, HOSTILE, "mit")
    card = ModelCard.load(tmp_path / CARD_FILE)
    assert (card.data.license, card.data.library_name, card.data.base_model) == ("mit", "transformers", "owner/name")
    assert card.data.language == ["en"]
    (first, *_) = card.data.eval_results
    name = "mean_absolute_error" if task is ProblemType.REGRESSION else "accuracy"
    test = reports[task]["test"]
    if name in test:
        assert first.metric_value == test[name]
        assert first.metric_args == {"interval_95": test["intervals"][name]}
    assert "<img" not in card.text
    assert "&lt;img src=x" in card.text
    assert "7\\*7" in card.text


def test_the_findings_name_what_is_weakest(reports: dict[ProblemType, dict[str, Any]]) -> None:
    report = reports[ProblemType.SINGLE_LABEL]
    said = " ".join(findings(report))
    assert re.search(r"Macro-F1 is 0\.\d+ on 48 test texts of 12 groups", said)
    assert "better than the baseline" in said
    assert "scores are higher than the share of right answers" in said


def test_the_served_version_is_compared_on_texts_it_was_not_trained_on(tmp_path: Path) -> None:
    data = made_up_data(ProblemType.SINGLE_LABEL)
    test = data.splits["test"]
    right = [example.target for example in test]
    words = {"attack": HOSTILE, "cooking": "Life", "meeting": "Work"}
    version = write_version(tmp_path / "version", {word: label for word, label in words.items() if word != "attack"})
    found = compared_with_served(test, right, data.task, str(version))
    assert (found["compared"], found["texts"], found["left_out"], found["split_known"]) == (True, 48, 0, False)
    assert found["unknown_labels"] == [HOSTILE]
    assert found["new"]["accuracy"]["value"] == 1
    wrong = sum(target == HOSTILE for target in right)
    assert found["served"]["accuracy"]["value"] == pytest.approx(1 - wrong / 48)
    assert found["difference"]["accuracy"]["low"] > 0
    assert (found["mcnemar"]["only_first_right"], found["mcnemar"]["only_second_right"]) == (wrong, 0)
    # A version that was trained on the first half of the test texts.
    halves = {"train": test[:24], "validation": data.splits["validation"], "test": test[24:]}
    SplitRecord.of("a", "b", "groups", halves, data.columns, data.task).write(version)  # type: ignore[arg-type]
    found = compared_with_served(test, right, data.task, str(version))
    assert (found["texts"], found["left_out"], found["split_known"]) == (24, 24, True)


def test_what_cannot_be_compared_is_said_in_a_sentence(tmp_path: Path) -> None:
    data = made_up_data(ProblemType.REGRESSION)
    answers = [example.target for example in data.splits["test"]]
    assert compared_with_served(data.splits["test"], answers, data.task)["compared"] is False
    version = write_version(tmp_path / "version", {"cat": "Animal", "oak": "Plant"})
    found = compared_with_served(data.splits["test"], answers, data.task, str(version))
    assert (found["compared"], "not regression" in found["reason"]) == (False, True)


def test_a_report_travels_with_its_version_through_publishing(tmp_path: Path) -> None:
    version = write_version(tmp_path / "version", {"cat": "Animal", "oak": "Plant"}, report="<p>good</p>")
    store = ModelStore(tmp_path / "models", "classifier")
    number = store.republish(store.publish(version))
    assert (store.folder / str(number) / REPORT_PAGE).read_text() == "<p>good</p>"


def test_texts_of_a_file_without_training_texts_have_no_neighbours() -> None:
    data = made_up_data(ProblemType.SINGLE_LABEL, {"train": 0, "validation": 0, "test": 24})
    logits = {"test": np.random.default_rng(0).normal(size=(24, 3)).astype(np.float32)}
    found = judge(data, logits, by_words([example.text for example in data.splits["test"]], []), 0)  # type: ignore[arg-type]
    assert found["mistakes"]["worst"]
    assert not any(one["nearest"] for one in found["mistakes"]["worst"])
    assert "validation" not in found
    assert data.labels == sorted(LABELS)
