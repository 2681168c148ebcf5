"""Calibrated scores, least scores, an unknown label and sets with a coverage, through a real Triton and gateway."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from repository.manifest import ProblemType
from tests.integration.gateways import Gateway, gateway_beside, publish
from tests.integration.scoring import read_rows, score, write_rows
from tests.integration.stack import Stack
from tests.meaning_versions import write_calibrated, write_with_thresholds
from tests.student_versions import add_student, cascade
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant", "rock": "Mineral"}
LABELS = ["Animal", "Mineral", "Plant"]
TEMPERATURE = 2.5
# Of the softmax, as -log: Animal is in a set from a score of 0.37 on, Mineral from 0.02 and Plant from 0.002.
LIMITS = [1.0, 4.0, 6.0]
PLAIN = 1


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meaning")
    repository = folder / "repository"
    publish(repository, "classifier", write_version(folder / "plain", WORDS))
    publish(repository, "classifier", write_calibrated(folder / "calibrated", WORDS, TEMPERATURE, LIMITS))
    # Animal takes 0.9, Mineral 0.3, Plant 0.5.
    tags = write_with_thresholds(folder / "tags", WORDS, [0.9, 0.3, 0.5], slope=2.0, offset=1.0)
    publish(repository, "tags", tags)
    publish(repository, "price", write_version(folder / "price", {"cat": "price"}, problem_type=ProblemType.REGRESSION))
    taught = write_calibrated(folder / "taught", WORDS, TEMPERATURE, LIMITS)
    add_student(taught, WORDS, dict.fromkeys(WORDS, 9.0), cascade(temperature=1.5))
    publish(repository, "taught", taught)
    return repository


@pytest.fixture(scope="module")
def stack(repository: Path) -> Iterator[Stack]:
    with Stack(repository, repository.parent / "log") as running:
        yield running


@pytest.fixture(scope="module")
def tags(stack: Stack) -> Iterator[Gateway]:
    with gateway_beside(stack, stack.log.with_name("log-tags"), MODEL_NAME="tags") as gateway:
        yield gateway


def get(client: httpx.Client, sentence: str, **params: Any) -> httpx.Response:
    return client.get("/classify", params={"sentence": sentence, **params})


def softmax(logits: list[float], temperature: float = 1.0) -> list[float]:
    powers = [math.exp(logit / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]


def refused(answer: httpx.Response) -> str:
    assert answer.status_code == 422, answer.text
    return str(answer.json()["error"])


def test_calibrated_scores_are_the_softmax_of_logits_over_the_temperature_in_float64(stack: Stack) -> None:
    # Two votes of 4 for Animal, one for Plant.
    answer = get(stack.client, "cat cat oak", calibrated="true", top_k="all")
    animal, mineral, plant = softmax([8, 0, 4], TEMPERATURE)
    assert [one["label"] for one in answer.json()] == ["Animal", "Plant", "Mineral"]
    assert [one["score"] for one in answer.json()] == pytest.approx([animal, plant, mineral], rel=1e-14)
    assert answer.headers["x-calibrated"] == "true"


def test_scores_are_the_model_s_own_unless_they_are_asked_for(stack: Stack) -> None:
    for params in ({}, {"calibrated": "false"}):
        answer = get(stack.client, "cat cat oak", **params)
        assert answer.json() == [{"label": "Animal", "score": pytest.approx(softmax([8, 0, 4])[0], rel=1e-6)}]
        assert "x-calibrated" not in answer.headers
        assert "x-coverage" not in answer.headers


def test_get_post_and_the_setting_agree(stack: Stack) -> None:
    sentences = ["cat", "cat oak oak", "rock oak", "unknown"]
    alone = [get(stack.client, sentence, calibrated="true").json() for sentence in sentences]
    posted = stack.client.post("/classify", json={"sentences": sentences, "calibrated": True})
    assert posted.json() == alone
    with gateway_beside(stack, stack.log.with_name("log-calibrated"), CALIBRATED="true") as gateway:
        assert [get(gateway.client, sentence).json() for sentence in sentences] == alone
        plain = [get(stack.client, sentence).json() for sentence in sentences]
        assert [get(gateway.client, sentence, calibrated="false").json() for sentence in sentences] == plain
        assert gateway.client.get("/models").json()["calibrated"] is True
        # A version without a calibration answers as it can, and says so.
        without = get(gateway.client, "cat", version=PLAIN)
        assert without.json() == get(stack.client, "cat", version=PLAIN).json()
        assert without.headers["x-calibrated"] == "false"


def test_predict_gives_calibrated_scores_by_the_setting_alone_and_logits_as_ever(stack: Stack) -> None:
    body = {"inputs": "cat cat oak"}
    plain = stack.client.post("/predict", json=body).json()
    logits = stack.client.post("/predict", json={**body, "raw_scores": True}).json()
    with gateway_beside(
        stack, stack.log.with_name("log-predict"), CALIBRATED="true", MIN_SCORE="0.9", UNKNOWN_LABEL="?"
    ) as gateway:
        found = gateway.client.post("/predict", json=body).json()
        assert gateway.client.post("/predict", json={**body, "raw_scores": True}).json() == logits
    assert [one["label"] for one in found] == [one["label"] for one in plain]
    assert [one["score"] for one in found] == pytest.approx(sorted(softmax([8, 0, 4], TEMPERATURE), reverse=True))
    assert [one["score"] for one in plain] == pytest.approx(sorted(softmax([8, 0, 4]), reverse=True), rel=1e-5)


def test_a_version_without_calibration_says_which_command_adds_it(stack: Stack) -> None:
    error = refused(get(stack.client, "cat", version=PLAIN, calibrated="true"))
    assert error.startswith("Version 1 has no calibration")
    assert "export calibrate 1 --data FILE" in error or "version calibrate 1 --data FILE" in error
    assert get(stack.client, "cat", version=PLAIN, calibrated="false").status_code == 200


def test_a_regression_has_no_scores_to_calibrate_or_to_bound(stack: Stack) -> None:
    with gateway_beside(
        stack, stack.log.with_name("log-price"), MODEL_NAME="price", CALIBRATED="true", MIN_SCORE="0.9"
    ) as gateway:
        asked = {"calibrated": "true", "min_score": "0.5", "unknown": "?", "coverage": "0.5"}
        for name, value in asked.items():
            error = refused(get(gateway.client, "cat", **{name: value}))
            assert error == f"Version 1 answers a number, which is no score: leave `{name}` out."
        assert get(gateway.client, "cat").json() == [{"label": "price", "score": 4.0}]


def test_below_the_least_score_the_answer_is_empty_or_the_caller_s_label(stack: Stack) -> None:
    sure, unsure = get(stack.client, "cat cat", min_score="0.9"), get(stack.client, "cat oak", min_score="0.9")
    assert [one["label"] for one in sure.json()] == ["Animal"]
    assert unsure.json() == []
    named = get(stack.client, "cat oak", min_score="0.9", unknown="weiß nicht")
    best = get(stack.client, "cat oak").json()[0]["score"]
    assert named.json() == [{"label": "weiß nicht", "score": best}]
    body = {"sentences": ["cat cat", "cat oak"], "min_score": 0.9, "unknown": "?"}
    assert stack.client.post("/classify", json=body).json() == [sure.json(), [{"label": "?", "score": best}]]


def test_of_the_best_labels_those_below_the_least_score_are_left_out(stack: Stack) -> None:
    def ask(**params: str) -> list[str]:
        return [one["label"] for one in get(stack.client, "cat oak", **params).json()]

    assert ask(top_k="all") == ["Animal", "Plant", "Mineral"]
    assert ask(top_k="all", min_score="0.1") == ["Animal", "Plant"]
    assert ask(top_k="1", min_score="0.1") == ["Animal"]
    assert ask(top_k="2", min_score="0.99") == []


def test_the_least_score_is_of_the_scores_that_are_answered(stack: Stack) -> None:
    plain, calibrated = (softmax([8, 0, 4], each)[0] for each in (1.0, TEMPERATURE))
    between = (plain + calibrated) / 2
    assert get(stack.client, "cat cat oak", min_score=between).json()
    assert get(stack.client, "cat cat oak", min_score=between, calibrated="true").json() == []


def test_settings_give_the_least_score_and_the_label_and_what_is_unsure_is_counted(stack: Stack) -> None:
    settings = {"MIN_SCORE": "0.9", "UNKNOWN_LABEL": "unsure"}
    with gateway_beside(stack, stack.log.with_name("log-least"), **settings) as gateway:
        assert [one["label"] for one in get(gateway.client, "cat oak").json()] == ["unsure"]
        assert [one["label"] for one in get(gateway.client, "cat cat").json()] == ["Animal"]
        assert [one["label"] for one in get(gateway.client, "cat oak", unknown="?").json()] == ["?"]
        assert [one["label"] for one in get(gateway.client, "cat oak", min_score=0.1).json()] == ["Animal"]
        assert gateway.metric("classifier_unknown_sentences_total") == 2


@pytest.mark.parametrize(
    "params",
    [
        {"min_score": "1.1"},
        {"min_score": "-0.1"},
        {"min_score": "nan"},
        {"min_score": "much"},
        {"min_score": "0.5", "unknown": ""},
        {"min_score": "0.5", "unknown": "a\nb"},
        {"min_score": "0.5", "unknown": "x" * 201},
        {"unknown": "?"},
        {"calibrated": "perhaps"},
        {"coverage": "0"},
        {"coverage": "1"},
        {"coverage": "nan"},
        {"coverage": "0.9", "top_k": "1"},
        {"coverage": "0.9", "min_score": "0.5"},
        {"coverage": "0.9", "unknown": "?"},
    ],
)
def test_what_makes_no_sense_is_refused_in_a_sentence_that_names_it(stack: Stack, params: dict[str, str]) -> None:
    error = refused(get(stack.client, "cat", **params))
    assert any(name in error for name in params)


def test_a_coverage_is_answered_with_every_label_within_its_limit(stack: Stack) -> None:
    def ask(sentence: str, **params: Any) -> httpx.Response:
        return get(stack.client, sentence, coverage=0.8, **params)

    # By class: 0.8 takes 4 groups, and 8 for a limit of a label's own; each label has 10.
    certain = ask("cat cat cat")
    assert certain.headers["x-coverage"] == "0.8"
    assert [one["label"] for one in certain.json()] == ["Animal"]
    assert certain.json()[0]["score"] == pytest.approx(softmax([12, 0, 0])[0], rel=1e-6)
    unsure = ask("cat cat oak").json()
    assert [one["label"] for one in unsure] == ["Animal", "Plant"], "-log 0.018 is within 6, and Mineral's 8 is not"
    assert [one["score"] for one in unsure] == pytest.approx([softmax([8, 0, 4])[0], softmax([8, 0, 4])[2]], rel=1e-5)
    # Calibration changes the scores, and never the set.
    calibrated = ask("cat cat oak", calibrated="true").json()
    assert [one["label"] for one in calibrated] == ["Animal", "Plant"]
    assert calibrated[0]["score"] == pytest.approx(softmax([8, 0, 4], TEMPERATURE)[0], rel=1e-12)
    body = {"sentences": ["cat cat cat", "cat cat oak"], "coverage": 0.8}
    assert stack.client.post("/classify", json=body).json() == [certain.json(), unsure]


def test_a_coverage_that_cannot_be_kept_is_refused_with_the_reason(stack: Stack, tags: Gateway) -> None:
    error = refused(get(stack.client, "cat", coverage=0.99))
    assert "takes 99 groups of held-out sentences, and version 2 has 30: ask for at most 0.967" in error
    assert get(stack.client, "cat", coverage=0.967).status_code == 200
    assert "no held-out scores" in refused(get(stack.client, "cat", coverage=0.9, version=PLAIN))
    assert "several labels at once" in refused(get(tags.client, "cat", coverage=0.9))


def test_a_label_s_own_threshold_counts_unless_one_is_set_for_all(stack: Stack, tags: Gateway) -> None:
    def labels(client: httpx.Client, sentence: str, **params: Any) -> list[str]:
        return [one["label"] for one in get(client, sentence, **params).json()]

    # A vote is a logit of 1, a score of 0.73; none is 0.5.
    assert labels(tags.client, "cat oak") == ["Plant", "Mineral"], "Animal takes 0.9"
    assert labels(tags.client, "cat cat cat") == ["Animal", "Mineral", "Plant"]
    assert labels(tags.client, "cat oak", min_score=0.6) == ["Animal", "Plant"]
    assert labels(tags.client, "cat oak", top_k="all") == ["Animal", "Plant", "Mineral"]
    # Its sigmoid lifts every score, and the thresholds with them.
    calibrated = get(tags.client, "cat oak", calibrated="true").json()
    assert [one["label"] for one in calibrated] == ["Plant", "Mineral"]
    assert calibrated[0]["score"] == pytest.approx(1 / (1 + math.exp(-3)), rel=1e-12)
    models = tags.client.get("/models").json()
    assert models["own_thresholds"] is True
    assert [one["threshold"] for one in models["versions"][0]["thresholds"]["labels"]] == [0.9, 0.3, 0.5]
    with gateway_beside(stack, stack.log.with_name("log-set"), MODEL_NAME="tags", THRESHOLD="0.5") as gateway:
        assert labels(gateway.client, "cat oak") == ["Animal", "Plant", "Mineral"]
        assert gateway.client.get("/models").json()["own_thresholds"] is False


def test_of_several_labels_none_that_reaches_its_threshold_is_the_unknown_label(tags: Gateway) -> None:
    assert get(tags.client, "cat", min_score=0.99, unknown="none").json() == [
        {"label": "none", "score": pytest.approx(1 / (1 + math.exp(-1)), rel=1e-6)}
    ]
    assert get(tags.client, "cat", min_score=0.99).json() == []
    assert len(get(tags.client, "cat", unknown="none").json()) == 2


def test_the_model_itself_answers_where_it_is_said_what_its_scores_mean(stack: Stack) -> None:
    with gateway_beside(stack, stack.log.with_name("log-taught"), MODEL_NAME="taught") as gateway:
        wait_until(
            lambda: get(gateway.client, "cat cat").headers.get("x-answered-by") == "student", 30, "the student answers"
        )
        for params in ({"calibrated": "true"}, {"coverage": "0.8"}):
            answer = get(gateway.client, "cat cat", **params)
            assert answer.headers["x-answered-by"] == "model"
        assert answer.json()[0]["score"] == pytest.approx(softmax([8, 0, 0])[0], rel=1e-6)


def test_a_file_is_scored_as_post_answers(stack: Stack, tmp_path: Path) -> None:
    sentences = ["cat", "cat oak oak", "rock oak"]
    source = write_rows(tmp_path / "in.csv", sentences)
    posted = stack.client.post("/classify", json={"sentences": sentences, "calibrated": True}).json()
    for name, options, settings in (("option", ["--calibrated"], {}), ("setting", [], {"CALIBRATED": "true"})):
        status, said = score(stack, source, tmp_path / f"{name}.csv", *options, **settings)
        assert status == 0, said
        found = [(row["label"], float(row["score"])) for row in read_rows(tmp_path / f"{name}.csv")]
        assert found == [(row[0]["label"], pytest.approx(row[0]["score"], rel=1e-5)) for row in posted]
    status, said = score(stack, source, tmp_path / "no.csv", "--calibrated", "--version", PLAIN)
    assert (status, "version 1 has no calibration" in said) == (2, True)


def test_a_file_s_labels_reach_their_own_thresholds(stack: Stack, tmp_path: Path) -> None:
    source = write_rows(tmp_path / "in.csv", ["cat oak", "cat cat cat"])
    for place, options in enumerate([[], ["--calibrated"]]):
        assert score(stack, source, tmp_path / f"{place}.csv", *options, MODEL_NAME="tags")[0] == 0
        labels = [row["label"] for row in read_rows(tmp_path / f"{place}.csv")]
        assert labels == ["Plant|Mineral", "Animal|Mineral|Plant"]
    assert score(stack, source, tmp_path / "set.csv", MODEL_NAME="tags", THRESHOLD="0.5")[0] == 0
    assert read_rows(tmp_path / "set.csv")[0]["label"] == "Animal|Plant|Mineral"


def test_what_scores_mean_is_listed_for_each_version(stack: Stack) -> None:
    calibrated, plain = stack.client.get("/models").json()["versions"]
    assert (plain["calibration"], plain["coverage"], plain["thresholds"]) == (None, None, None)
    assert calibrated["calibration"]["temperature"] == TEMPERATURE
    assert calibrated["coverage"]["groups"] == 30
