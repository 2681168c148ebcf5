"""What both clients do where a server fails, hangs, lies or hurries them."""

import email.utils
import socket

import pytest

from tests.faulty_server import Reply, faulty_server, scripted
from tests.unit.client.both import both, classify, labels
from tests.waiting import wait_until
from text_classifier_client import (
    AuthenticationError,
    BadAnswerError,
    ConnectionFailedError,
    DeadlineError,
    RequestError,
    UnavailableError,
)

NUMBERS = [str(number) for number in range(300)]


@pytest.mark.parametrize(
    "reply",
    [
        Reply(503, {"retry-after": "0"}),
        Reply(429, {"retry-after": email.utils.formatdate(0, usegmt=True)}),
        Reply(502, body=b"<html>"),
        Reply(504),
        Reply(sends=0),
        Reply(sends=5),
        Reply(sends=140),
    ],
    ids=["503", "429", "502", "504", "dropped", "half a status line", "half a body"],
)
@both
def test_what_passes_is_asked_again(kind: str, reply: Reply) -> None:
    with faulty_server(scripted(reply, reply)) as server:
        assert classify(kind, server, "a").label == "a"
        assert len(server.requests) == 3


@both
def test_an_attempt_that_hangs_is_given_up_and_asked_again(kind: str) -> None:
    with faulty_server(scripted(Reply(after_s=60), Reply(pause_s=0.2))) as server:
        assert classify(kind, server, "a", {"timeout": 1.5}).label == "a"
        assert len(server.requests) == 3
        wait_until(lambda: server.hung_up == 2, 5, "the attempts hung up")


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, RequestError), (401, AuthenticationError), (404, RequestError), (422, RequestError), (302, RequestError)],
)
@both
def test_what_does_not_pass_is_asked_once(kind: str, status: int, error: type[Exception]) -> None:
    with faulty_server(lambda _: Reply(status)) as server:
        with pytest.raises(error, match=f"The server says {status}.|redirects"):
            classify(kind, server, ["a", "b"])
        assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[[]]", b'{"label": "a"}'])
@both
def test_an_answer_that_is_none_is_told_at_once(kind: str, body: bytes) -> None:
    with faulty_server(lambda _: Reply(body=body)) as server:
        with pytest.raises(BadAnswerError):
            classify(kind, server, ["a", "b"])
        assert len(server.requests) == 1


@both
def test_retries_end_and_the_last_refusal_is_told(kind: str) -> None:
    with faulty_server(lambda _: Reply(503, {"retry-after": "0"})) as server:
        with pytest.raises(UnavailableError) as caught:
            classify(kind, server, "a", {"retries": 2})
        assert len(server.requests) == 3
    assert (caught.value.status, caught.value.retry_after_s, caught.value.request_id) == (503, 0.0, "request-2")


@both
def test_nobody_there_is_told_with_the_address_but_no_password(kind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and does not listen
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionFailedError, match=f"2 attempts.*http://127.0.0.1:{port} cannot") as caught:
            classify(kind, f"http://me:secret@127.0.0.1:{port}", "a", {"retries": 1})
    assert "secret" not in str(caught.value)


@both
def test_retry_after_is_waited_for(kind: str) -> None:
    with faulty_server(scripted(Reply(503, {"retry-after": "1"}))) as server:
        classify(kind, server, "a")
        first, second = server.requests
        assert second.at - first.at >= 1


@pytest.mark.parametrize("reply", [Reply(after_s=60), Reply(503, {"retry-after": "60"}), Reply(pause_s=0.2)])
@both
def test_the_deadline_bounds_waiting_and_retries(kind: str, reply: Reply) -> None:
    with faulty_server(lambda _: reply) as server:
        with pytest.raises(DeadlineError, match="within the deadline of 1 seconds"):
            classify(kind, server, "a", deadline=1)
        assert len(server.requests) == 1


@both
def test_a_deadline_that_no_retry_can_keep_ends_at_once_and_says_why(kind: str) -> None:
    with faulty_server(lambda _: Reply(503, {"retry-after": "250"})) as server:
        with pytest.raises(DeadlineError, match="status 503"):
            classify(kind, server, ["a"], {"deadline": 240})
        assert len(server.requests) == 1


@both
def test_the_deadline_of_a_list_is_that_of_all_and_of_an_iterator_that_of_a_batch(kind: str) -> None:
    settings = {"batch_size": 1, "concurrency": 1}
    with faulty_server(lambda _: Reply(after_s=0.4)) as server:
        assert labels(classify(kind, server, iter(NUMBERS[:8]), settings, deadline=2.5)) == NUMBERS[:8]
        with pytest.raises(DeadlineError):
            classify(kind, server, NUMBERS[:8], settings, deadline=2.5)


@both
def test_a_slow_request_is_sent_again_and_the_loser_is_given_up(kind: str) -> None:
    with faulty_server(scripted(Reply(after_s=60))) as server:
        assert classify(kind, server, "a", {"hedge_after": 0.2, "hedge_share": 1.0}).request_id == "request-1"
        assert (len(server.requests), server.most_at_once) == (2, 2)
        wait_until(lambda: server.hung_up == 1, 5, "the loser hung up")


@both
def test_of_two_requests_a_refusal_does_not_win(kind: str) -> None:
    with faulty_server(scripted(Reply(after_s=1.0), Reply(503, {"retry-after": "60"}))) as server:
        assert classify(kind, server, "a", {"hedge_after": 0.1, "hedge_share": 1.0}).request_id == "request-0"


@both
def test_hedges_stay_within_their_share(kind: str) -> None:
    with faulty_server(lambda _: Reply(after_s=0.03)) as server:
        settings = {"hedge_after": 0.001, "hedge_share": 0.1, "batch_size": 1, "concurrency": 4}
        assert labels(classify(kind, server, NUMBERS[:60], settings)) == NUMBERS[:60]
        assert 60 < len(server.requests) <= 66
