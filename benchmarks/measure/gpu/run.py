"""Runs the plan: every case in each round, one right after the other, until the time is over."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.measure.gpu.plan import Case, Graph, batches
from repository.inference import Float32Array, Int64Array, pad_batch
from repository.manifest import OUTPUT

Report = Callable[[str], None]
Feed = dict[str, Int64Array]


@dataclass
class Deadline:
    """So much time from when it was made, in seconds."""

    seconds: float
    _start: float = field(default_factory=time.monotonic)

    @property
    def left_s(self) -> float:
        """What is left; below 0 when it is over."""
        return self.seconds - (time.monotonic() - self._start)


@dataclass
class Work:
    """What a case runs, with the sentences in the order of its calls."""

    case: Case
    session: Any
    feeds: list[Feed]
    places: list[int]

    @classmethod
    def of(cls, case: Case, session: Any, ids: Sequence[Sequence[int]], pad_token_id: int, most: int) -> "Work":
        """Cut sentences into the calls of a case, padded as the gateway pads them."""
        lengths = list(map(len, ids))
        calls = list(batches(lengths, case.order, case.batch_tokens, most))
        feeds = [pad_batch([ids[place] for place in call], pad_token_id) for call in calls]
        computed = sum(feed["input_ids"].size for feed in feeds)
        case.padding = 1 - sum(lengths) / computed
        return cls(case, session, feeds, [place for call in calls for place in call])

    def answers(self) -> Float32Array:
        """Logits `[sentences, labels]` in the order of the sentences; the first run of every shape is this one."""
        logits = np.concatenate([self.session.run([OUTPUT], feed)[0] for feed in self.feeds])
        ordered = np.empty_like(logits)
        ordered[self.places] = logits
        return np.asarray(ordered, dtype=np.float32)

    def measure(self) -> None:
        """One round."""
        seconds = []
        for feed in self.feeds:
            start = time.perf_counter()
            self.session.run([OUTPUT], feed)
            seconds.append(time.perf_counter() - start)
        self.case.per_second.append(len(self.places) / sum(seconds))
        self.case.call_ms.append(1000 * statistics.median(seconds))


def measure_cases(
    cases: Sequence[Case],
    sessions: Mapping[Graph, Any],
    ids: Sequence[Sequence[int]],
    pad_token_id: int,
    most: int,
    rounds: int,
    deadline: Deadline,
    report: Report,
) -> dict[str, float]:
    """Measure in rounds; a round that does not fit any more is not begun.

    Args:
        cases: of the plan; their figures and notes are filled in.
        sessions: of their graphs.
        ids: token ids of the sentences.
        pad_token_id: id that fills rows.
        most: sentences in a call.
        rounds: at most.
        deadline: when to stop.
        report: told of each round.

    Returns:
        Share of sentences with the label of the first graph, by the name of the graph.
    """
    work, labels = _prepared(cases, sessions, ids, pad_token_id, most)
    longest = 0.0
    for number in range(rounds):
        if deadline.left_s < longest:
            report(f"The time is over: {number} of {rounds} rounds.")
            break
        started = time.monotonic()
        report(f"round {number + 1} of {rounds}")
        turn = number % len(work) if work else 0  # another one starts each round
        for one in work[turn:] + work[:turn]:
            one.measure()
        longest = time.monotonic() - started
    first = next(iter(labels.values()), None)
    return {name: float((found == first).mean()) for name, found in labels.items()}


def _prepared(
    cases: Sequence[Case], sessions: Mapping[Graph, Any], ids: Sequence[Sequence[int]], pad_token_id: int, most: int
) -> tuple[list[Work], dict[str, Any]]:
    """What there is to run, run once, and the labels `[sentences]` that each graph gave; the rest is told why not."""
    work: list[Work] = []
    labels: dict[str, Any] = {}
    for case in cases:
        if case.note or case.graph not in sessions:
            case.note = case.note or "no session"
            continue
        one = Work.of(case, sessions[case.graph], ids, pad_token_id, most)
        try:
            answers = one.answers()  # memory is taken before the clock runs
        except Exception as error:  # out of the card's memory, say: the other cases are measured
            case.note = f"failed: {' '.join(str(error).split())[:100]}"
            continue
        labels.setdefault(str(case.graph), answers.argmax(axis=1))
        work.append(one)
    return work, labels
