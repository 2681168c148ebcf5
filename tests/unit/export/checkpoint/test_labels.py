"""Labels and problem type come from the checkpoint as the pipeline reads them, or are refused."""

from pathlib import Path
from typing import Any

import pytest

from export import ExportError
from export.checkpoint.load import load_checkpoint
from repository.manifest import ProblemType
from repository.names import refused_label, visible
from tests.word_checkpoints import edit, logits, tiny_bert, write


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"id2label": {"2": "c", "0": "a", "1": "b"}}, ["a", "b", "c"]),
        ({"id2label": {"1": "b"}}, ["LABEL_0", "b", "LABEL_2"]),
        ({"id2label": None, "label2id": {"c": 2, "b": 1, "a": 0}}, ["a", "b", "c"]),
        ({"id2label": None, "label2id": None}, ["LABEL_0", "LABEL_1", "LABEL_2"]),
        ({"id2label": {"0": 1, "1": 2, "2": 3}}, ["1", "2", "3"]),
    ],
)
def test_labels_come_in_the_order_of_the_logits(
    tmp_path: Path, changes: dict[str, object], expected: list[str]
) -> None:
    folder = write(tmp_path / "c")
    edit(folder / "config.json", **changes)
    assert load_checkpoint(str(folder)).labels == expected


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"id2label": {"0": "a", "1": "a", "2": "b"}}, "two labels the same name, 'a'"),
        ({"id2label": {"0": "a", "1": "b", "7": "c"}}, "names label 7, but the labels are 0 to 2"),
        ({"id2label": {"zero": "a"}}, "must give names by number"),
        ({"id2label": ["a", "b", "c"]}, "must give names by number"),
        ({"id2label": None, "num_labels": 5}, "num_labels 5, but the weights give 3 logits"),
        ({"id2label": None, "num_labels": 10**9}, "num_labels 1000000000, but the weights give 3 logits"),
    ],
)
def test_labels_that_contradict_the_weights_are_refused(tmp_path: Path, changes: dict[str, object], named: str) -> None:
    folder = write(tmp_path / "c")
    edit(folder / "config.json", **changes)
    with pytest.raises(ExportError) as caught:
        load_checkpoint(str(folder))
    assert named in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("label", ["a\nb", "a\x1b[31m", "a\u202eb", "\u200b", " "])
def test_a_label_that_cannot_be_read_is_refused_by_name_before_the_weights_are_loaded(
    tmp_path: Path, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "c")
    edit(folder / "config.json", id2label={"0": "a", "1": label, "2": "c"})
    monkeypatch.setattr("export.checkpoint.load.AutoModelForSequenceClassification", None)
    with pytest.raises(ExportError) as caught:
        load_checkpoint(str(folder))
    assert f"label 1, '{visible(label)}', {refused_label(label)}: rename it" in str(caught.value)
    assert str(caught.value).isprintable()


def test_labels_with_brackets_and_signs_stay_as_they_are(tmp_path: Path) -> None:
    labels = ["Ops [/api]", "[red]", "a|b`$c"]
    folder = write(tmp_path / "[v1]")
    edit(folder / "config.json", id2label=dict(enumerate(labels)))
    assert load_checkpoint(str(folder)).labels == labels


def test_ten_thousand_labels_are_taken(tmp_path: Path) -> None:
    checkpoint = load_checkpoint(str(write(tmp_path / "c", tiny_bert(num_labels=10_000))))
    assert len(checkpoint.labels) == 10_000
    assert logits(checkpoint.model).shape == (1, 10_000)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_labels": 1}, ProblemType.MULTI_LABEL),
        ({"num_labels": 1, "problem_type": "regression"}, ProblemType.REGRESSION),
        ({"problem_type": "multi_label_classification"}, ProblemType.MULTI_LABEL),
        ({}, ProblemType.SINGLE_LABEL),
    ],
)
def test_the_problem_type_is_the_pipelines(tmp_path: Path, changes: dict[str, Any], expected: ProblemType) -> None:
    assert load_checkpoint(str(write(tmp_path / "c", tiny_bert(**changes)))).problem_type is expected
