"""Answers to SageMaker have the shapes and the numbers of the pipeline that its container calls."""

from typing import Any

import numpy as np
import pytest
from transformers import AutoTokenizer, BertForSequenceClassification, TextClassificationPipeline

from gateway.dialects.pipelines import (
    FUNCTIONS,
    PipelineBody,
    PipelineParameters,
    applied,
    as_pipeline,
)
from gateway.ranking import LabelScore
from repository.manifest import ProblemType
from tests.tiny_models import write_classifier

LABELS = ["Business", "Education", "Other"]
TEXTS = ["film law", "school", "law law film"]
PROBLEMS = {
    "single_label_classification": ProblemType.SINGLE_LABEL,
    "multi_label_classification": ProblemType.MULTI_LABEL,
    "regression": ProblemType.REGRESSION,
}


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TextClassificationPipeline]:
    folder = write_classifier(tmp_path_factory.mktemp("pipeline") / "model", LABELS)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    found = {}
    for problem in PROBLEMS:
        model = BertForSequenceClassification.from_pretrained(folder, problem_type=problem).eval()
        found[problem] = TextClassificationPipeline(model=model, tokenizer=tokenizer, device="cpu")
    return found


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("inputs", [TEXTS[0], TEXTS[:1], TEXTS, {"text": TEXTS[0]}, [{"text": TEXTS[1]}]])
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"top_k": None},
        {"top_k": 1},
        {"top_k": 2},
        {"top_k": 9},
        {"return_all_scores": True},
        {"return_all_scores": False},
        {"return_all_scores": True, "top_k": 1},
        {"function_to_apply": "sigmoid"},
        {"function_to_apply": "softmax", "top_k": None},
        {"function_to_apply": "none", "top_k": 2},
    ],
)
def test_the_answer_is_the_pipeline_s(
    pipelines: dict[str, TextClassificationPipeline], problem: str, inputs: Any, parameters: dict[str, Any]
) -> None:
    asked = pipelines[problem]
    expected = asked(inputs, **parameters)
    body = PipelineBody(inputs=inputs, parameters=PipelineParameters(**parameters))
    texts = [
        each["text"] if isinstance(each, dict) else each for each in (inputs if isinstance(inputs, list) else [inputs])
    ]
    logits = [np.array([one["score"] for one in scores], dtype=np.float32) for scores in in_order(asked, texts)]
    function = FUNCTIONS.get(parameters.get("function_to_apply", ""), PROBLEMS[problem])
    labels = [best_first(scores) for scores in applied(logits, function)]
    assert as_pipeline(body, labels, LABELS) == close(expected)


def in_order(asked: TextClassificationPipeline, texts: list[str]) -> list[list[dict[str, Any]]]:
    """The logits of each text, in the order of the model."""
    found = asked(texts, top_k=None, function_to_apply="none")
    return [sorted(each, key=lambda one: LABELS.index(one["label"])) for each in found]


def best_first(scores: Any) -> list[LabelScore]:
    order = np.argsort(-scores, kind="stable")
    return [{"label": LABELS[place], "score": float(scores[place])} for place in order]


def close(value: Any) -> Any:
    """The same with scores that may differ in the last digits."""
    if isinstance(value, list):
        return [close(each) for each in value]
    return {"label": value["label"], "score": pytest.approx(value["score"], abs=1e-6)}
