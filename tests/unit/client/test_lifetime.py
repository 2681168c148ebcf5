"""Threads, processes, Ctrl-C and closing: what the synchronous client leaves behind."""

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
        answers.close()  # type: ignore[attr-defined]
        wait_until(lambda: server.hung_up == len(server.requests) - 1 > 0, 5, "all others hung up")


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
        client.classify("a")
        assert len(own_threads()) == 1
        del client
        gc.collect()
        assert own_threads() == []


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
try:
    Client(sys.argv[1]).classify("a")
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_a_call_and_the_program() -> None:
    with faulty_server(lambda _: Reply(after_s=60)) as server:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "client")}
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, server.url], env=environment, stdout=subprocess.PIPE, text=True
        )
        while not server.requests:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(2)
        out, _ = process.communicate(timeout=60)
        assert (out, process.returncode) == ("interrupted\n", 0)
