"""Texts in, answers out, by both clients: in order, bounded, and each bad text told by its place."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.faulty_server import FaultyServer, Reply, Request, faulty_server
from tests.unit.client.both import both, classify, labels
from text_classifier_client import (
    AsyncClient,
    Client,
    TextError,
)

NUMBERS = [str(number) for number in range(300)]


def shuffled(request: Request) -> Reply:
    """Later requests are answered before earlier ones."""
    return Reply(after_s=0.3 if request.number % 2 == 0 else 0.0)


@both
def test_answers_are_in_order_whichever_comes_first_and_requests_are_bounded(kind: str) -> None:
    with faulty_server(shuffled) as server:
        settings = {"batch_size": 7, "concurrency": 3}
        assert labels(classify(kind, server, NUMBERS[:100], settings)) == NUMBERS[:100]
        assert labels(classify(kind, server, iter(NUMBERS[:100]), settings)) == NUMBERS[:100]
        assert server.most_at_once == 3
        assert {len(texts) for texts in server.asked()} == {7, 2}


@both
def test_a_list_is_checked_before_the_first_request(kind: str) -> None:
    with faulty_server() as server:
        with pytest.raises(TextError, match="blank") as caught:
            classify(kind, server, [*NUMBERS, " "])
        assert caught.value.index == 300
        assert server.requests == []


def refuses(bad: set[str]) -> Any:
    """Refuses a request with one of these, naming the first, as the gateway does."""

    def behave(request: Request) -> Reply:
        for place, text in enumerate(request.texts, start=1):
            if text in bad:
                name = "The sentence" if len(request.texts) == 1 else f"Sentence {place}"
                return Reply(422, body=f'{{"error": "{name} has no token."}}'.encode())
        return Reply()

    return behave


@both
def test_bad_texts_are_told_by_their_place_and_the_others_are_answered(kind: str) -> None:
    with faulty_server(refuses({"70", "71", "299"})) as server:
        for texts in (NUMBERS, iter(NUMBERS)):
            outcomes = classify(kind, server, texts, on_error="return")
            bad = {place: each for place, each in enumerate(outcomes) if isinstance(each, TextError)}
            assert bad.keys() == {70, 71, 299}
            assert all(
                (error.index, error.says) == (place, "The sentence has no token.") for place, error in bad.items()
            )
            assert [each for each in labels(outcomes) if isinstance(each, str)] == [
                number for number in NUMBERS if number not in ("70", "71", "299")
            ]
        with pytest.raises(TextError) as caught:
            classify(kind, server, NUMBERS)
        assert caught.value.index in (70, 299)  # whichever batch was refused first
        assert isinstance(classify(kind, server, "70", on_error="return"), TextError)
        assert labels(classify(kind, server, ["", "70", "1", " "], on_error="return"))[2] == "1"


@both
def test_an_iterator_gives_what_came_before_a_bad_text(kind: str) -> None:
    def texts() -> Iterator[str]:
        yield from NUMBERS[:100]
        raise KeyError("mine")

    found: list[Any] = []
    with faulty_server() as server:
        if kind == "sync":
            with Client(server.url) as client, pytest.raises(KeyError, match="mine"):
                found += client.classify(texts())
        else:

            async def ask() -> None:
                async with AsyncClient(server.url) as client:
                    async for answer in client.classify(texts()):
                        found.append(answer)

            with pytest.raises(KeyError, match="mine"):
                asyncio.run(ask())
    assert labels(found) == NUMBERS[:100]


def takes(most: int) -> Any:
    """Takes so many texts in a request."""
    return lambda request: Reply(413 if len(request.texts) > most else 200)


@both
def test_a_server_that_takes_fewer_texts_gets_fewer_from_then_on(kind: str) -> None:
    with faulty_server(takes(20)) as server:
        settings = {"concurrency": 1, "batch_size": 64}
        assert labels(classify(kind, server, iter(NUMBERS), settings)) == NUMBERS
        refused = [texts for texts in server.asked() if len(texts) > 20]
        assert len(refused) <= 6, "only what was cut before it was known"


@both
def test_one_text_that_is_too_long_does_not_make_all_batches_small(kind: str) -> None:
    def behave(request: Request) -> Reply:
        return Reply(413 if "70" in request.texts else 200)  # as of a pair, it does not say which

    with faulty_server(behave) as server:
        outcomes = classify(kind, server, NUMBERS, {"concurrency": 1}, on_error="return")
        assert [place for place, each in enumerate(outcomes) if isinstance(each, TextError)] == [70]
        assert len(server.asked()[-2]) == 64


@both
def test_a_batch_that_the_server_is_too_slow_for_is_asked_in_halves(kind: str) -> None:
    with faulty_server(lambda request: Reply(504 if len(request.texts) > 16 else 200)) as server:
        assert labels(classify(kind, server, NUMBERS[:64])) == NUMBERS[:64]
        assert [len(texts) for texts in server.asked()] == [64, 32, 16, 16, 32, 16, 16]


@both
def test_an_iterator_reads_no_further_than_a_few_batches_ahead(kind: str) -> None:
    read = taken = 0
    ahead = []

    def texts() -> Iterator[str]:
        nonlocal read
        for number in NUMBERS:
            read += 1
            yield number

    def note() -> None:
        nonlocal taken
        taken += 1
        ahead.append(read - taken)

    with faulty_server() as server:
        settings: dict[str, Any] = {"batch_size": 10, "concurrency": 2}
        if kind == "sync":
            with Client(server.url, **settings) as client:
                for _ in client.classify(texts()):
                    note()
        else:

            async def ask() -> None:
                async with AsyncClient(server.url, **settings) as client:
                    async for _ in client.classify(texts()):
                        note()
                        await asyncio.sleep(0.001)

            asyncio.run(ask())
    assert taken == read == 300
    assert max(ahead) < 10 * (2 + 1 + 2), "those asked, the next batch and the one that is given"


def test_texts_of_an_async_iterator_that_come_slowly_are_answered_at_once() -> None:
    async def ask(server: FaultyServer) -> list[Any]:
        answered = asyncio.Event()

        async def texts() -> AsyncIterator[str]:
            yield "a"
            await answered.wait()
            yield "b"
            yield "c"

        found = []
        async with AsyncClient(server.url) as client:
            async for answer in client.classify(texts()):
                found.append(answer.label)
                answered.set()
        return found

    with faulty_server() as server:
        assert asyncio.run(ask(server)) == ["a", "b", "c"]
        assert server.asked() == [["a"], ["b", "c"]]
