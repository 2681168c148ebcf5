"""The student answers what it is sure of, the model all else, and the audit asks the model about some of the former."""

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gateway.audit import MOST_WAITING, Auditor
from gateway.batcher import Batcher, BatchLimits
from gateway.cascade import Answered, Answerer
from gateway.encoding import Tokens
from gateway.errors import ModelFailedError, NotReadyError
from gateway.students import Student, Students
from gateway.watch import Watch
from repository.cascade import Cascade
from repository.inference import Float32Array, Int64Array
from repository.manifest import Manifest
from tests.student_versions import cascade, write_with_student

LIMITS = BatchLimits(calls=2, tokens=256, sentences=16, waiting=2000, deadline_s=5.0)
SURE, UNSURE = 10, 11
STUDENT_LOGITS = {SURE: [6.0, 0.0], UNSURE: [1.0, 0.0]}
MODEL_LOGITS = [0.0, 3.0]


class Graphs:
    """What stands for Triton: notes the first token of each sentence that either graph is asked."""

    def __init__(self) -> None:
        self.student: list[int] = []
        self.model: list[int] = []
        self.student_error: Exception | None = None
        self.model_logits = MODEL_LOGITS

    async def infer(self, version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        assert version == 7
        self.model += inputs["input_ids"][:, 0].tolist()
        return np.array([self.model_logits] * len(inputs["input_ids"]), dtype=np.float32)

    async def infer_student(self, version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        assert version == 7
        if self.student_error is not None:
            raise self.student_error
        first = inputs["input_ids"][:, 0].tolist()
        self.student += first
        return np.array([STUDENT_LOGITS[token] for token in first], dtype=np.float32)


class Counts:
    def __init__(self) -> None:
        self.disagrees: list[bool] = []
        self.skipped = 0

    def audited(self, disagrees: bool) -> None:
        self.disagrees.append(disagrees)

    def not_audited(self) -> None:
        self.skipped += 1


class Parts:
    """An answerer over `Graphs`, with a student that may be asked, and an audit of every sentence if asked for."""

    def __init__(self, manifest: Manifest, share: float = 0.0, block: Cascade | None = None) -> None:
        self.graphs, self.counts = Graphs(), Counts()
        self.version: Any = SimpleNamespace(number=7, manifest=manifest)
        block = block or cascade()
        self.student = Student(7, manifest, block.temperature, Watch(block))
        self.batcher = Batcher(self.graphs.infer, LIMITS, None, self.graphs.infer_student)
        triton: Any = None
        self.students = Students(triton, SimpleNamespace(current=self.version), 1.0, 16)  # type: ignore[arg-type]
        self.students._student = self.student
        self.auditor = Auditor(self.batcher, self.counts, share, 5.0)
        self.answerer = Answerer(self.batcher, self.students, self.auditor)

    async def ask(self, *tokens: int) -> list[Answered]:
        return await self.answerer.answers(self.version, [Tokens([token, 3, 4], None, 0) for token in tokens])


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    folder = tmp_path_factory.mktemp("version") / "one"
    return Manifest.read(write_with_student(folder, {"cow": "animal", "oak": "plant"}, {"cow": 9.0}))


def run(use: Callable[[Parts], Coroutine[Any, Any, None]], parts: Parts) -> None:
    asyncio.run(use(parts))


def test_the_model_is_asked_only_what_the_student_is_not_sure_of(manifest: Manifest) -> None:
    async def use(parts: Parts) -> None:
        found = await parts.ask(SURE, UNSURE, SURE, UNSURE)
        assert [answered.by for answered in found] == ["student", "model", "student", "model"]
        assert [int(answered.logits.argmax()) for answered in found] == [0, 1, 0, 1]
        assert parts.graphs.student == [SURE, UNSURE, SURE, UNSURE]
        assert parts.graphs.model == [UNSURE, UNSURE]

    run(use, Parts(manifest))


def sizes_of_calls(manifest: Manifest, student: bool) -> list[int]:
    """Sentences of each call, largest first, when twelve of 30 tokens wait for the same graph."""
    sizes: list[int] = []

    async def infer(_: int, inputs: dict[str, Int64Array]) -> Float32Array:
        sizes.append(len(inputs["input_ids"]))
        return np.zeros((sizes[-1], 2), dtype=np.float32)

    async def use() -> None:
        batcher = Batcher(infer, LIMITS, None, infer)
        await asyncio.gather(*(batcher.submit(7, manifest, [SURE] * 30, student=student) for _ in range(12)))

    asyncio.run(use())
    return sorted(sizes, reverse=True)


def test_a_students_call_takes_as_many_more_tokens_as_it_is_cheaper(manifest: Manifest) -> None:
    assert manifest.cascade is not None
    assert manifest.cascade.cost == 0.3
    assert sizes_of_calls(manifest, student=False)[0] == 6  # dealt to two calls
    assert sizes_of_calls(manifest, student=True) == [12]  # 360 tokens, of 256 / 0.3


def test_a_call_to_the_student_keeps_no_call_to_the_model_waiting(manifest: Manifest) -> None:
    async def use() -> None:
        let_go, under_way = asyncio.Event(), []

        async def infer(_: int, inputs: dict[str, Int64Array]) -> Float32Array:
            under_way.append(int(inputs["input_ids"][0, 0]))
            await let_go.wait()
            return np.zeros((len(inputs["input_ids"]), 2), dtype=np.float32)

        batcher = Batcher(infer, LIMITS, None, infer)
        rows = []
        for number in range(4):
            rows.append(batcher.submit(7, manifest, [number], student=number in (0, 3)))
            await asyncio.sleep(0.01)
        assert under_way == [0, 1, 2], "one to the student beside the model's two; its second one waits"
        assert batcher.calls_under_way == 3
        let_go.set()
        await asyncio.gather(*rows)
        assert batcher.is_idle

    asyncio.run(use())


def test_the_score_of_a_students_answer_is_calibrated(manifest: Manifest) -> None:
    async def use(parts: Parts) -> None:
        (found,) = await parts.ask(SURE)
        # Logits 6 and 0 at temperature 2.
        assert found.scores.tolist() == pytest.approx([1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))])
        assert found.logits.tolist() == [3.0, 0.0]
        (found,) = await parts.ask(UNSURE)
        assert found.scores.tolist() == pytest.approx([1 / (1 + np.exp(3)), 1 / (1 + np.exp(-3))])

    run(use, Parts(manifest, block=cascade(temperature=2.0)))


@pytest.mark.parametrize("error", [NotReadyError("away"), ModelFailedError("broken")])
def test_a_student_that_fails_is_passed_over(manifest: Manifest, error: Exception) -> None:
    async def use(parts: Parts) -> None:
        parts.graphs.student_error = error
        found = await parts.ask(SURE, UNSURE)
        assert [answered.by for answered in found] == ["model", "model"]
        # One that is away is asked nothing more; a failure may be this sentence's own.
        is_asked = parts.students.of(parts.version) is not None
        assert is_asked is isinstance(error, ModelFailedError)

    run(use, Parts(manifest))


def test_a_window_of_a_long_text_is_the_models_though_the_student_were_sure(manifest: Manifest) -> None:
    async def use(parts: Parts) -> None:
        asked = [Tokens([SURE, 3, 4], None, 0, is_window=is_window) for is_window in (True, False, True)]
        found = await parts.answerer.answers(parts.version, asked)
        assert [answered.by for answered in found] == ["model", "student", "model"]
        assert parts.graphs.student == [SURE]
        assert parts.graphs.model == [SURE, SURE]
        await audited(parts, 1)
        assert parts.counts.disagrees == [True]  # of the one sentence that could have been the student's

    run(use, Parts(manifest, share=1.0))


def test_another_version_is_answered_by_its_model_alone(manifest: Manifest) -> None:
    async def use(parts: Parts) -> None:
        parts.version = SimpleNamespace(number=7, manifest=manifest.model_copy())
        (found,) = await parts.ask(SURE)
        assert found.by is None
        assert parts.graphs.student == []

    run(use, Parts(manifest))


async def audited(parts: Parts, count: int) -> None:
    """Until so many sentences were counted."""
    task = asyncio.create_task(parts.auditor.run())
    async with asyncio.timeout(5):
        while len(parts.counts.disagrees) + parts.counts.skipped < count:
            await asyncio.sleep(0.001)
    task.cancel()


def test_the_audit_counts_sentences_whoever_answered(manifest: Manifest) -> None:
    async def use(parts: Parts) -> None:
        await parts.ask(SURE, UNSURE, UNSURE)
        assert parts.graphs.model == [UNSURE, UNSURE]  # the answers did not wait for the audit
        await audited(parts, 3)
        assert sorted(parts.counts.disagrees) == [False, False, True]
        assert parts.graphs.model == [UNSURE, UNSURE, SURE]
        assert (parts.student.watch.audited, parts.student.watch.disagreed) == (3, 1)

    run(use, Parts(manifest, share=1.0))


def test_a_student_that_disagrees_raises_its_bar_until_it_is_off(manifest: Manifest) -> None:
    async def use(parts: Parts) -> None:
        while parts.students.of(parts.version) is not None:
            before = len(parts.counts.disagrees)
            by = [answered.by for answered in await parts.ask(*[SURE] * 20)]
            assert set(by) == {"student"}
            await audited(parts, before + 20)
        assert parts.student.watch.raised == 2
        assert (await parts.ask(SURE))[0].by is None

    parts = Parts(manifest, share=1.0, block=cascade(bars=(0.9, 0.95)))
    run(use, parts)


def test_a_full_queue_samples_nothing_more(manifest: Manifest) -> None:
    async def use(parts: Parts) -> None:
        await parts.ask(*[SURE] * MOST_WAITING)
        found = await parts.ask(SURE, UNSURE)
        assert [answered.by for answered in found] == ["student", "model"]
        assert (parts.counts.skipped, parts.counts.disagrees) == (2, [])  # of neither kind, or the share would be off

    run(use, Parts(manifest, share=1.0))


def test_nothing_is_sampled_without_a_share(manifest: Manifest) -> None:
    async def use(parts: Parts) -> None:
        await parts.ask(*[SURE] * 100)
        assert (parts.counts.skipped, parts.counts.disagrees, parts.auditor._queue.qsize()) == (0, [], 0)

    run(use, Parts(manifest))
