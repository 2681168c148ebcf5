"""What callers get while Triton dies or hangs, while they are too many, and when one sentence breaks the model."""

import asyncio
import contextlib
import math
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from repository.strict_json import read_strict_json
from server.ports import port_in_use
from tests.integration.callers import Caller, Load, ask_at_once, for_seconds, keep_asking
from tests.integration.gateways import ENDS_S, Gateway, gateway_beside, publish
from tests.integration.stack import Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

NATURE = {"cat": "Animal", "oak": "Plant", "void": "Plant"}
SENTENCE = "cat oak cat cat oak cat"
SLOW = {"MODEL_NAME": "slow"}
WAITING = "classifier_waiting_sentences"
CALLS = 3
# A gateway that holds all but this many sentences while Triton hangs, and that neither gives up nor notices.
HOLD = {"TRITON_CALLS": str(CALLS), "BATCH_SENTENCES": "1", "DEADLINE_MS": "60000", "VERSION_POLL_MS": "60000"}
DEADLINE_S = 2.0
# What a busy machine may add to a deadline: neither gateway nor callers get the processor when they want it. Times here
# only tell "at once", "at the deadline" and "never" apart; how fast it is stands in benchmarks.
LATE_S = 3.0
BY_DEADLINE = {"DEADLINE_MS": f"{1000 * DEADLINE_S:g}"}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Triton with a model that costs next to nothing, and one that costs milliseconds and breaks at two words.

    "void" makes its logits NaN, and "riddle" is a token that its graph does not know.
    """
    folder = tmp_path_factory.mktemp("faults")
    publish(folder / "repository", "classifier", write_version(folder / "quick", NATURE))
    slow = write_version(
        folder / "slow", NATURE, 128, weights={"void": math.nan}, unknown_to_graph=["riddle"], layers=200
    )
    publish(folder / "repository", "slow", slow)
    with Stack(folder / "repository", folder / "log") as running:
        yield running


def test_every_request_is_answered_in_time_while_triton_is_killed(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", **BY_DEADLINE) as gateway:
        load, ready_at = asyncio.run(kill_triton_under_load(stack, gateway))
        assert gateway.process.poll() is None, "the gateway has to live on"
    assert set(load.statuses()) == {200, 503}
    assert {reply.headers.get("retry-after") for reply in load.replies if reply.status == 503} == {"1"}
    assert max(reply.seconds for reply in load.replies) < DEADLINE_S + LATE_S
    assert [reply for reply in load.replies if reply.status == 200 and reply.at > ready_at], "it answers again"


async def kill_triton_under_load(stack: Stack, gateway: Gateway) -> tuple[Load, float]:
    """Kill it after a second, and load on until the gateway, too, is ready again; says when Triton was."""
    stop = asyncio.Event()
    load = asyncio.create_task(keep_asking(gateway.port, SENTENCE, 32, stop.is_set))
    await asyncio.sleep(1)
    (triton,) = stack.processes("tritonserver")
    os.kill(triton, signal.SIGKILL)
    async with httpx.AsyncClient(timeout=60) as client:
        while not await triton_is_ready(client, stack):
            assert not load.done()
            await asyncio.sleep(0.05)
    ready_at = time.monotonic()
    await asyncio.to_thread(wait_until, gateway.is_ready, 5, "the gateway is ready again")
    await asyncio.sleep(2)  # longer than callers who were refused wait before they come again
    stop.set()
    return await load, ready_at


async def triton_is_ready(client: httpx.AsyncClient, stack: Stack) -> bool:
    try:
        url = f"http://127.0.0.1:{stack.ports['TRITON_HTTP_PORT']}/v2/models/classifier/ready"
        return (await client.get(url)).status_code == 200
    except httpx.TransportError:
        return False


def test_while_triton_hangs_callers_get_504_at_the_deadline_or_503_at_once(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", MAX_WAITING="64", **BY_DEADLINE) as gateway:
        warm_up = asyncio.run(keep_asking(gateway.port, SENTENCE, 32, for_seconds(1)))
        assert set(warm_up.statuses()) == {200}
        with triton_hanging(stack):
            load, alive_s = asyncio.run(ask_and_look_whether_alive(gateway))
            assert alive_s < 0.9 * DEADLINE_S
            assert set(load.statuses()) == {503, 504}
            assert min(reply.seconds for reply in load.replies if reply.status == 504) > 0.9 * DEADLINE_S
            assert load.slowest(504) < DEADLINE_S + LATE_S
            assert load.slowest(503) < 0.9 * DEADLINE_S
            wait_until(lambda: not gateway.is_ready(), 5, "/health/ready says 503")
            memory_mb = gateway.memory_mb()
            for _ in range(3):
                asyncio.run(ask_at_once(gateway.port, ["cat " * 5000] * 150))  # 3 MB a round
            assert gateway.memory_mb() < memory_mb + 30
        wait_until(gateway.is_ready, 10, "it is ready again by itself")
        after = asyncio.run(keep_asking(gateway.port, SENTENCE, 32, for_seconds(2)))
        assert after.statuses()[200] > 0.9 * len(after.replies)


@contextlib.contextmanager
def triton_hanging(stack: Stack) -> Iterator[None]:
    """Neither Triton nor its stubs get any processor time."""
    assert len(stack.processes("triton_python_backend_stub")) == 2  # one a model
    with stack.hanging("tritonserver", "triton_python_backend_stub"):
        yield


async def ask_and_look_whether_alive(gateway: Gateway) -> tuple[Load, float]:
    """160 callers at once, and how long /health/live takes while they wait."""
    asked = asyncio.create_task(ask_at_once(gateway.port, [SENTENCE] * 160))
    await asyncio.sleep(0.4)
    start = time.monotonic()
    assert (await asyncio.to_thread(gateway.client.get, "/health/live")).status_code == 200
    alive_s = time.monotonic() - start
    return await asked, alive_s


def test_no_request_lies_in_triton_s_queue(stack: Stack, tmp_path: Path) -> None:
    """Triton bug 8870: with a bound on its queue, one request in ten lay there for 500 ms, however idle the model."""
    with gateway_beside(stack, tmp_path / "log", **SLOW) as gateway:
        load = asyncio.run(keep_asking(gateway.port, SENTENCE, 2, for_seconds(4)))
    assert load.statuses()[200] == len(load.replies) > 50
    assert load.slowest(200, 0.95) < 0.45


def test_ten_times_the_callers_it_can_carry_cost_no_answers(stack: Stack, tmp_path: Path) -> None:
    callers, seconds = 32, 5
    with gateway_beside(stack, tmp_path / "log", **BY_DEADLINE, **SLOW) as gateway:
        peak = asyncio.run(keep_asking(gateway.port, SENTENCE, callers, for_seconds(seconds)))
        # A fast machine carries ten times as many; those of whom it answers half within the deadline are too many.
        crowded = max(10 * callers, round(DEADLINE_S * peak.per_second(seconds)))
        crowd = asyncio.run(keep_asking(gateway.port, SENTENCE, crowded, for_seconds(seconds)))
    assert set(peak.statuses()) == {200}
    assert set(crowd.statuses()) == {200, 503}
    # The callers share one thread, which reads an answer when it has come to it.
    assert crowd.slowest(200) < DEADLINE_S + LATE_S
    assert crowd.slowest(503, 0.95) < 0.9 * DEADLINE_S
    # Neighbours may take a part of the machine in either round; what a collapse leaves is next to nothing.
    assert crowd.per_second(seconds) > 0.3 * peak.per_second(seconds)


def test_callers_who_hang_up_give_up_their_places(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", **HOLD) as gateway:
        with triton_hanging(stack):
            asyncio.run(ask_and_hang_up(gateway, 200))
            wait_until(lambda: gateway.metric(WAITING) == 0, 1, "nothing waits any more")
            counted = 'classifier_requests_total{route="/classify",status="499"}'
            wait_until(lambda: gateway.metric(counted) == 200, 1, "all are counted")
        answer = gateway.client.get("/classify", params={"sentence": "cat"})
        assert answer.status_code == 200
        assert answer.elapsed.total_seconds() < 20, "not what would have been computed for those who hung up"
        assert gateway.metric("classifier_batch_sentences_sum") <= CALLS + 1, "only what was under way was computed"
        assert '"status":499' in gateway.log.read_text()


async def ask_and_hang_up(gateway: Gateway, count: int) -> None:
    callers = [Caller(gateway.port) for _ in range(count)]
    for caller in callers:
        await caller.send(SENTENCE)
    await asyncio.to_thread(wait_until_all_wait, gateway, count)
    for caller in callers:
        caller.hang_up()


def wait_until_all_wait(gateway: Gateway, count: int) -> None:
    """Until the gateway has taken in as many sentences as this; Triton has to hang, else they are answered."""
    wait_until(lambda: gateway.metric(WAITING) == count - CALLS, 10, "all are taken in")


def test_sigterm_lets_the_gateway_answer_what_it_has_taken_in(stack: Stack, tmp_path: Path) -> None:
    with gateway_beside(stack, tmp_path / "log", **HOLD) as gateway:
        load = asyncio.run(end_under_load(stack, gateway, 150))
        assert load.statuses() == {200: 150}
        assert gateway.process.wait(timeout=ENDS_S) in (0, -signal.SIGTERM)  # uvicorn passes the signal on to itself
        assert "Traceback" not in gateway.log.read_text()


async def end_under_load(stack: Stack, gateway: Gateway, count: int) -> Load:
    """SIGTERM while so many callers wait for a Triton that hangs, and goes on when the gateway is ending."""
    with triton_hanging(stack):
        asked = asyncio.create_task(ask_at_once(gateway.port, [SENTENCE] * count))
        await asyncio.to_thread(wait_until_all_wait, gateway, count)
        gateway.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(
            wait_until, lambda: not port_in_use("127.0.0.1", gateway.port), 5, "nobody new is let in"
        )
        assert not asked.done()
    return await asked


@pytest.mark.parametrize("word", ["void", "riddle"])
def test_a_word_that_breaks_the_model_costs_only_its_own_request(stack: Stack, tmp_path: Path, word: str) -> None:
    sentences = [SENTENCE] * 60
    sentences[5] = sentences[20] = f"cat {word} cat oak cat cat"
    with gateway_beside(stack, tmp_path / "log", **SLOW) as gateway:
        load = asyncio.run(ask_at_once(gateway.port, sentences))
        calls, called = (gateway.metric(f"classifier_batch_sentences_{what}") for what in ("count", "sum"))
        together = gateway.client.post("/classify", json={"sentences": ["cat", f"oak {word}"]})
    assert called > calls + 10, "sentences have to share calls for this test to say anything"
    for sentence, reply in zip(sentences, load.replies, strict=True):
        if word in sentence:
            assert reply.status == 502
            assert "error" in read_strict_json(reply.body.decode())
        else:
            assert reply.status == 200
            assert read_strict_json(reply.body.decode())[0]["label"] == "Animal"
    assert together.status_code == 502
    assert list(read_strict_json(together.text)) == ["error"]
