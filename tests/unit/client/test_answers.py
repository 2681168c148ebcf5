"""What is made of the server's JSON and headers."""

import json
import pickle
from typing import Any

import pytest

from text_classifier_client import (
    AuthenticationError,
    BadAnswerError,
    ClassifierError,
    LabelScore,
    NotFoundError,
    RequestError,
    ServerError,
    TextError,
    UnavailableError,
)
from text_classifier_client.answers import Answer, answers_of
from text_classifier_client.refusals import error_of, place_of, says, text_error
from text_classifier_client.wire import Reply

ONE = [{"label": "Art", "score": 0.75}]


def answers(content: Any, count: int = 1, **headers: str) -> list[Answer]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return answers_of(json.dumps(content).encode(), named, count, None)


def test_an_answer_has_label_score_version_and_the_requests_id() -> None:
    (answer,) = answers([ONE], x_model_version="7", x_request_id="abc")
    assert (answer.label, answer.score, answer.version, answer.request_id) == ("Art", 0.75, 7, "abc")
    assert (answer.names, answer.scores(), answer.truncated, answer.windows) == (("Art",), {"Art": 0.75}, False, 1)


def test_several_labels_none_and_a_number() -> None:
    many, none, number = answers([[*ONE, {"label": "Law", "score": 0.5}], [], [{"label": "stars", "score": -3}]], 3)
    assert many.labels == (LabelScore("Art", 0.75), LabelScore("Law", 0.5))
    assert (none.label, none.score, none.names) == (None, None, ())
    assert number.value == -3.0
    for answer in (many, none):
        with pytest.raises(ValueError, match="no one number"):
            _ = answer.value


def test_an_answer_with_a_receipt() -> None:
    (answer,) = answers([{"answer": ONE, "receipt": "ey.J.x~s"}])
    assert (answer.label, answer.receipt) == ("Art", "ey.J.x~s")


@pytest.mark.parametrize(
    ("header", "count", "expected"), [("true", 1, True), ("2 of 3", 3, None), ("3 of 3", 3, True), ("x", 2, None)]
)
def test_whether_a_text_was_cut_is_said_where_it_is_known(header: str, count: int, expected: bool | None) -> None:
    assert {answer.truncated for answer in answers([ONE] * count, count, x_truncated=header)} == {expected}


@pytest.mark.parametrize(
    ("header", "count", "expected"),
    [("3", 1, [3]), ("2=3, 4=5", 4, [1, 3, 1, 5]), ("1=2, 3=2, ...", 5, [2, 1, 2, None, None]), ("9=2", 2, [1, 1])],
)
def test_windows_of_each_text(header: str, count: int, expected: list[int | None]) -> None:
    assert [answer.windows for answer in answers([ONE] * count, count, x_windows=header)] == expected


def test_who_answered_and_whether_scores_are_calibrated() -> None:
    (answer,) = answers([ONE], x_answered_by="student", x_calibrated="false")
    assert (answer.answered_by, answer.calibrated) == ("student", False)
    assert answers([ONE], x_answered_by="both")[0].answered_by is None


@pytest.mark.parametrize(
    "body",
    [
        b"<html>Welcome</html>",
        b"",
        b"null",
        b"{}",
        b"[]",
        b"[[], []]",
        b"[1]",
        b'["label"]',
        b'[[{"label": 1, "score": 0.5}]]',
        b'[[{"label": "a"}]]',
        b'[[{"label": "a", "score": null}]]',
        b'[{"answer": null}]',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_answer_is_refused_with_the_requests_id(body: bytes) -> None:
    with pytest.raises(BadAnswerError) as caught:
        answers_of(body, {"x-request-id": "abc"}, 1, None)
    assert (caught.value.status, caught.value.request_id) == (200, "abc")


def refusal(status: int, error: str = "No.", **headers: str) -> Reply:
    return Reply(status, headers, json.dumps({"error": error}).encode())


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, RequestError),
        (400, RequestError),
        (401, AuthenticationError),
        (403, AuthenticationError),
        (404, NotFoundError),
        (422, RequestError),
        (429, UnavailableError),
        (500, ServerError),
        (502, UnavailableError),
        (503, UnavailableError),
        (507, ServerError),
    ],
)
def test_each_status_has_its_error(status: int, kind: type[ClassifierError]) -> None:
    error = error_of(refusal(status, "It is closed.", **{"x-request-id": "abc"}))
    assert type(error) is kind
    assert (error.says, error.status, error.request_id) == ("It is closed.", status, "abc")
    assert str(error).startswith(f"It is closed. (status {status}, request abc)")


@pytest.mark.parametrize(
    ("status", "error", "texts", "place"),
    [
        (422, "Sentence 3 is empty: give it at least one visible character.", 4, 2),
        (413, "Sentence 1 has 200000 bytes; at most 131072 are taken.", 2, 0),
        (422, "body.sentences.2: Input should be a valid string.", 4, 2),
        (422, "The sentence is empty: give it at least one visible character.", 1, 0),
        (413, "The pair has 90 tokens; the model takes at most 16.", 1, 0),
        (413, "The request has 1200 sentences; at most 1024 are taken: send several.", 1200, None),
        (422, "Version 1 has no calibration.", 1, None),
        (422, "Version 1 has no calibration.", 3, None),
        (422, "Sentence 9 is empty.", 3, None),
        (503, "Sentence 1 is odd.", 3, None),
    ],
)
def test_which_text_a_refusal_means(status: int, error: str, texts: int, place: int | None) -> None:
    assert place_of(refusal(status, error), texts) == place


def test_an_error_of_a_text_speaks_of_the_text_and_names_its_place_in_the_call() -> None:
    error = text_error(refusal(422, "Sentence 3 is empty."), 130)
    assert (error.says, error.index) == ("The sentence is empty.", 130)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (Reply(502, {}, b"<html>\n  <h1>Bad gateway</h1>"), "The answer is: <html> <h1>Bad gateway</h1>"),
        (Reply(503, {}, b""), "The answer is empty."),
        (
            Reply(307, {"location": "https://there/"}, b""),
            "The server redirects to https://there/: give that as base_url.",
        ),
        (Reply(500, {}, b"\xff" * 9_999), "The answer is: " + "\ufffd" * 200),
        (Reply(500, {}, b'{"error": 5}'), 'The answer is: {"error": 5}'),
    ],
)
def test_what_a_proxy_says_is_told_shortly(reply: Reply, said: str) -> None:
    assert says(reply) == said


@pytest.mark.parametrize(
    "error", [TextError("Bad.", 7, 422, "abc"), UnavailableError("Full.", 503, "abc", 2.5), ClassifierError("No.")]
)
def test_errors_cross_processes(error: ClassifierError) -> None:
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
