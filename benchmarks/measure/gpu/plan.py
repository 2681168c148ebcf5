"""What is measured on a card, in which order: a list of cases, and the batches that each runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from export.checkpoint.layout import Layout
from repository.cards import Card
from repository.inference import LENGTH_MULTIPLE
from repository.manifest import Precision

# Beside what the table of cards says, so many times as many tokens in a call.
TIMES = (0.25, 4.0)


class Runs(StrEnum):
    """What ONNX Runtime computes with."""

    CPU = "CPU"
    CUDA = "CUDA"
    TENSORRT = "TensorRT"


class Order(StrEnum):
    """How sentences come together in a batch."""

    LENGTH = "by length"
    """Neighbours in length: under load the gateway finds them among those that wait."""
    ARRIVAL = "as they came"
    """Whatever comes next, with as much padding as that takes."""


@dataclass(frozen=True)
class Graph:
    """A graph, and what runs it."""

    layout: Layout
    precision: Precision
    runs: Runs

    @property
    def file(self) -> str:
        """Of the graph alone; TensorRT and CUDA may run the same one."""
        return f"{self.layout.value}-{self.precision.value}"

    def __str__(self) -> str:
        return f"{self.precision.value}, {self.layout.value}, {self.runs.value}"


@dataclass
class Case:
    """A graph under one bound on tokens, in one order; with figures once it was measured."""

    graph: Graph
    batch_tokens: int
    order: Order
    per_second: list[float] = field(default_factory=list)
    """Sentences a second of each round."""
    call_ms: list[float] = field(default_factory=list)
    """Median duration of a call, of each round."""
    padding: float = 0.0
    """Share of the tokens in a call that are padding."""
    note: str = ""
    """Why there are no figures, where there are none."""

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "graph": str(self.graph),
            "batch_tokens": self.batch_tokens,
            "order": self.order.value,
            "per_second": self.per_second,
            "call_ms": self.call_ms,
            "padding": self.padding,
            "note": self.note,
        }


def plan(card: Card, on_cpu: bool = False) -> list[Case]:
    """Every case; the first is the one that the others are a multiple of.

    Args:
        card: whose tokens of a call are tried, and a quarter and four times as many.
        on_cpu: let ONNX Runtime's CPU provider run all of it: a rehearsal.
    """
    cuda, tensorrt = (Runs.CPU, Runs.CPU) if on_cpu else (Runs.CUDA, Runs.TENSORRT)
    full = Graph(Layout.FUSED, Precision.FP32, cuda)
    half = Graph(Layout.FUSED, Precision.FP16, cuda)
    packed = Graph(Layout.PACKED, Precision.FP16, cuda)
    # In float32: TensorRT is told to compute in float16, and chooses where.
    plain = Graph(Layout.PLAIN, Precision.FP32, tensorrt)
    tokens = card.batch_tokens
    around = [max(1, int(times * tokens)) for times in TIMES]
    cases = [Case(graph, tokens, Order.LENGTH) for graph in (full, half, packed, plain)]
    cases += [Case(graph, tokens, Order.ARRIVAL) for graph in (half, packed, plain)]
    return cases + [Case(graph, other, Order.LENGTH) for graph in (half, packed) for other in around]


def batches(lengths: Sequence[int], order: Order, batch_tokens: int, most: int) -> Iterator[list[int]]:
    """Places of sentences that share a call: at most `most`, and at most `batch_tokens` tokens with padding.

    Args:
        lengths: tokens of each sentence.
        order: which lie beside each other.
        batch_tokens: a longer sentence is a call by itself.
        most: sentences in a call.
    """
    places = list(range(len(lengths)))
    if order is Order.LENGTH:
        places.sort(key=lambda place: lengths[place])
    call: list[int] = []
    longest = 0
    for place in places:
        padded = max(longest, -(-lengths[place] // LENGTH_MULTIPLE) * LENGTH_MULTIPLE)
        if call and (len(call) == most or padded * (len(call) + 1) > batch_tokens):
            yield call
            call, padded = [], -(-lengths[place] // LENGTH_MULTIPLE) * LENGTH_MULTIPLE
        call.append(place)
        longest = padded
    if call:
        yield call
