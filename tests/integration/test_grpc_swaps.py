"""Versions are swapped while callers by gRPC ask: every answer is the whole answer of the version that it names."""

import asyncio
import itertools
import threading
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from benchmarks.measure.ports import free_ports
from gateway.rpc.messages import CLASSIFIER
from tests.integration.rpc import ClassifyRequest, stub
from tests.integration.swapping import QUESTIONS, SWAP_S, new_store, own_answers, serving, write_model
from tests.waiting import wait_until

CALLERS = 64
LEAST_ASKED = 100


class Calls:
    """Callers who ask without pause, over eight channels, until their block ends."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[tuple[tuple[str, ...], str, int, tuple[tuple[str, float], ...]]] = Counter()
        """How often to these sentences came this code, of this version, with the best label and score of each."""
        self.versions: set[int] = set()
        self._address = f"127.0.0.1:{port}"
        self._questions = itertools.cycle(QUESTIONS)
        self._stopping = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._thread.join()

    async def _run(self) -> None:
        options = [("grpc.use_local_subchannel_pool", 1)]
        channels = [grpc.aio.insecure_channel(self._address, options=options) for _ in range(8)]
        methods = [stub(channel, CLASSIFIER, "Classify") for channel in channels]
        await asyncio.gather(*(self._ask(methods[place % len(methods)]) for place in range(CALLERS)))
        for channel in channels:
            await channel.close()

    async def _ask(self, method: Any) -> None:
        while not self._stopping:
            sentences = next(self._questions).sentences
            try:
                reply = await method(ClassifyRequest(sentences=sentences), timeout=60)
            except grpc.aio.AioRpcError as error:
                self.answers[sentences, f"{error.code().name}: {error.details()}", 0, ()] += 1
                continue
            best = tuple((each.labels[0].label, each.labels[0].score) for each in reply.results)
            self.answers[sentences, "OK", reply.version, best] += 1
            self.versions.add(reply.version)


def test_swaps_under_load_mix_no_versions_and_lose_no_call(tmp_path: Path) -> None:
    store = new_store(tmp_path)
    own = {1: own_answers(tmp_path / "exported-1")}
    (port,) = free_ports(1)
    with serving(store, GRPC_PORT=str(port)) as stack, Calls(port) as calls:
        wait_until(lambda: calls.answers.total() > LEAST_ASKED, SWAP_S, "there is traffic")
        for number in range(2, 6):
            folder = write_model(tmp_path / f"exported-{number}", number - 1, seed=number)
            own[number] = own_answers(folder)
            store.publish(folder)
            wait_until(lambda number=number: number in calls.versions, SWAP_S, f"version {number} answers")  # type: ignore[misc]
    wrong = {}
    for answer, count in calls.answers.items():
        sentences, code, version, best = answer
        expected = [own[version][sentence] for sentence in sentences] if version in own else []
        is_own = (
            code == "OK"
            and len(best) == len(expected)
            and all(
                label == own_label and abs(score - own_score) <= 1e-6
                for (label, score), (own_label, own_score) in zip(best, expected, strict=True)
            )
        )
        if not is_own:
            wrong[answer] = count
    assert not wrong, f"{sum(wrong.values())} of {calls.answers.total()} answers, such as {next(iter(wrong))}"
    log = stack.log.read_text()
    assert "Traceback" not in log
