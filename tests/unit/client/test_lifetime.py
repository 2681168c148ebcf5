"""Threads, processes, Ctrl-C and closing: what the synchronous client leaves behind."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import time
from typing import Any

import pytest

from tests.faulty_server import Reply, Request, faulty_server
from tests.places import ROOT
from tests.unit.client.both import labels
from tests.waiting import wait_until
from text_classifier_client import (
    Client,
    ClosedError,
)

NUMBERS = [str(number) for number in range(300)]


def first_alone(request: Request) -> Reply:
    """The first text is answered, all others wait."""
    return Reply(after_s=0 if request.texts == NUMBERS[:1] else 60)


def test_an_iterator_that_is_left_ends_what_is_under_way() -> None:
    with faulty_server(first_alone) as server, Client(server.url, batch_size=1) as client:
        answers = client.classify(iter(NUMBERS))
        assert next(answers).label == "0"
        wait_until(lambda: len(server.requests) > 1, 15, "others are asked")
        answers.close()  # type: ignore[attr-defined]
        wait_until(lambda: server.hung_up == len(server.requests) - 1, 15, "all others hung up")


def test_a_connection_is_used_again() -> None:
    with faulty_server() as server, Client(server.url) as client:
        for text in NUMBERS[:10]:
            client.classify(text)
        assert {request.connection for request in server.requests} == {1}


def test_threads_share_a_client_and_each_gets_its_own_answers() -> None:
    found: dict[int, list[Any]] = {}
    with faulty_server() as server, Client(server.url, batch_size=5) as client:

        def ask(number: int) -> None:
            texts = [f"{number}-{text}" for text in range(40)]
            found[number] = [labels(client.classify(texts)) == texts, client.classify(f"{number}").label == f"{number}"]

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert server.most_at_once <= 4
    assert found == {number: [True, True] for number in range(12)}


def own_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "text-classifier-client"]


def test_a_closed_client_leaves_no_thread_and_says_that_it_is_closed() -> None:
    with faulty_server(lambda _: Reply(after_s=60)) as server:
        client = Client(server.url)
        caught: list[Exception] = []

        def ask() -> None:
            try:
                client.classify("a")
            except ClosedError as error:
                caught.append(error)

        thread = threading.Thread(target=ask)
        thread.start()
        while not server.requests:
            time.sleep(0.01)
        client.close()
        client.close()
        thread.join()
        assert len(caught) == 1
        with pytest.raises(ClosedError):
            client.classify("a")
    assert own_threads() == []


def test_a_client_that_is_forgotten_ends_its_thread() -> None:
    with faulty_server() as server:
        client = Client(server.url)
        assert next(client.classify(iter(NUMBERS))).label == "0"
        assert len(own_threads()) == 1
        del client
        gc.collect()
        assert own_threads() == []


def test_calls_that_come_alone_are_made_by_the_thread_that_makes_them() -> None:
    with faulty_server() as server:
        client = Client(server.url)
        for text in NUMBERS[:5]:
            assert client.classify(text).label == text
        assert labels(client.classify(NUMBERS)) == NUMBERS
        assert own_threads() == []
        del client
        gc.collect()
        wait_until(lambda: not server.connected, 30, "its connections are closed")


def test_within_a_running_loop_such_as_a_notebooks_another_thread_makes_them() -> None:
    async def within() -> list[Any]:
        with Client(server.url) as client:
            found = [client.classify(text).label for text in NUMBERS[:3]]
            assert len(own_threads()) == 1
            return found

    async def closed_within(client: Client) -> None:
        client.close()

    with faulty_server() as server:
        assert asyncio.run(within()) == NUMBERS[:3]
        client = Client(server.url)
        client.classify("a")
        asyncio.run(closed_within(client))
        with pytest.raises(ClosedError):
            client.classify("a")
    assert own_threads() == []


def test_calls_beside_each_other_do_not_wait_for_each_other() -> None:
    """The thread that makes the first one runs the loop for both, and leaves it to a thread of its own."""
    released = {"first": threading.Event(), "second": threading.Event()}

    def waits(request: Request) -> Reply:
        if (event := released.get(request.texts[0])) is not None:
            event.wait(60)
        return Reply()

    with faulty_server(waits) as server, Client(server.url) as client:
        found: list[Any] = []
        threads = [
            threading.Thread(target=lambda text=text: found.append(client.classify(text).label))  # type: ignore[misc]
            for text in released
        ]
        for place, thread in enumerate(threads):
            thread.start()
            wait_until(lambda place=place: len(server.requests) > place, 30, "it is under way")  # type: ignore[misc]
        assert client.classify("third").label == "third"
        assert found == []
        for thread, event in zip(threads, released.values(), strict=True):
            event.set()
            thread.join()
        assert found == ["first", "second"]
        assert len(own_threads()) == 1
        assert client.classify("fourth").label == "fourth"


def test_a_forked_process_asks_by_connections_of_its_own() -> None:
    with faulty_server() as server, Client(server.url) as client:
        client.classify("a")
        script = "parent"
        reader, writer = os.pipe()
        if (pid := os.fork()) == 0:
            script = client.classify("child").label or ""
            os.write(writer, script.encode())
            os._exit(0)
        os.waitpid(pid, 0)
        assert os.read(reader, 100) == b"child"
        assert client.classify("b").label == "b"
        assert [request.connection for request in server.requests] == [1, 2, 1]
        os.close(reader)
        os.close(writer)


SCRIPT = """
import sys, threading
from text_classifier_client import Client
client = Client(sys.argv[1])
try:
    client.classify("a")
except KeyboardInterrupt:
    print("interrupted", client.classify("b").label, flush=True)
"""


def test_ctrl_c_ends_a_call_and_the_program_may_go_on() -> None:
    with faulty_server(lambda request: Reply(after_s=60 if request.texts == ["a"] else 0)) as server:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, server.url], env=environment, stdout=subprocess.PIPE, text=True
        )
        while not server.requests:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(2)
        out, _ = process.communicate(timeout=60)
        assert (out, process.returncode) == ("interrupted b\n", 0)
