"""A service whose requests are traced: what its spans are called, and how soon they come."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.integration.collector import Collector
from tests.integration.gateways import Gateway, publish
from tests.integration.stack import Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

NATURE = {"cat": "Animal", "oak": "Plant", "xylophone": "Music"}
PARTS = ["tokenize", "wait for a call", "call Triton"]
"""Of the gateway's span, in their order."""
OF_TRITON = ["InferRequest", "classifier", "compute"]
SPANS = 1 + len(PARTS) + len(OF_TRITON)
"""Of one request."""
WAITING = "classifier_waiting_sentences"
CALLS = "classifier_calls_in_flight"


@contextlib.contextmanager
def traced_stack(collector: Collector, folder: Path, **settings: str) -> Iterator[Stack]:
    """A service that sends the spans of gateway and Triton to the collector; its model fails on the word `bad`."""
    publish(folder / "repository", "classifier", write_version(folder / "version", NATURE, unknown_to_graph=["bad"]))
    traces = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "TRITON_TRACES": "true",
    }
    with Stack(folder / "repository", folder / "log", **traces, **settings) as running:
        yield running


def wait_until_queued(gateway: Gateway, sentences: int) -> None:
    """Until one sentence is in a call that hangs and so many others wait for the next.

    Without the first condition two sentences that have just come could still be taken to one call.
    """
    wait_until(
        lambda: (gateway.metric(CALLS), gateway.metric(WAITING)) == (1, sentences), 10, f"{sentences} wait for a call"
    )
