"""Callers by gRPC beside callers by HTTP: the same gateway, the same sentences, one right after the other."""

import asyncio
import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
import uvloop

from benchmarks.measure.gateway import CONNECTIONS, LONE_REQUESTS, BenchmarkError, Comparison, Report
from benchmarks.measure.http_load import closed_loop, get_requests
from benchmarks.measure.ports import free_ports
from benchmarks.measure.sentences import load_sentences
from benchmarks.measure.service import HOST, ServiceError, running_service
from benchmarks.options import PricePerHour, errors, published, show_failure
from benchmarks.report.render import comparison_table
from gateway.rpc.messages import CLASSIFIER, message
from repository.addresses import host_and_port
from repository.console import Console
from repository.exit_status import FAILED
from repository.store import ModelStore
from training import SAMPLE_DATA

CHANNELS = 8
METHOD = f"/{CLASSIFIER}/Classify"

out = Console()


def rpc(
    data: Annotated[Path, typer.Option(help="CSV as for training; its sentences are asked.")] = SAMPLE_DATA,
    rounds: Annotated[int, typer.Option(min=1, help="Paired rounds; the figures are their medians.")] = 5,
    sentences: Annotated[int, typer.Option(min=512, help="Sentences asked in a round.")] = 2048,
    price_per_hour: PricePerHour = None,
) -> None:
    """Callers by gRPC beside callers by HTTP.

    Starts Triton and a gateway of its own over the published model (MODEL_REPOSITORY, MODEL_NAME), on free ports. Each
    round measures both, and every other one begins with the other. The callers share the cores with what they ask, and
    one by gRPC, in Python, costs more than one by HTTP, whose requests are bytes made beforehand: the gateway itself is
    nearer to HTTP than the figures say.
    """
    store, _ = published()
    try:
        found = compare_rpc(store, load_sentences(data, sentences), rounds, errors.print)
    except (BenchmarkError, ServiceError) as error:
        show_failure(error)
        raise typer.Exit(FAILED) from None
    out.table(comparison_table(found, price_per_hour).to_rich())


def compare_rpc(store: ModelStore, sentences: Sequence[str], rounds: int, report: Report) -> list[Comparison]:
    """Measure both in pairs: many calls at a time, and one after the other.

    Raises:
        BenchmarkError: an answer was a failure.
        ServiceError: a server did not start.
    """
    many = Comparison(f"gRPC, {CONNECTIONS} calls at a time", "/s", "", beside=f"HTTP, {CONNECTIONS} connections")
    lone = Comparison(
        "gRPC, one call at a time, p50", "ms", "", difference=True, beside="HTTP, one connection", classifies=False
    )
    (port,) = free_ports(1)
    with running_service(store.folder.parent, store.model_name, GRPC_PORT=str(port)) as service:
        address = host_and_port(HOST, port)
        gets = get_requests(f"{service.url}/classify", sentences)
        asked = requests_of(sentences)
        _by_http(service.url, gets[:512], CONNECTIONS)
        _by_grpc(address, asked[:512], CONNECTIONS)
        for number in range(rounds):
            report(f"round {number + 1} of {rounds}")
            sides = [
                lambda count, calls: _by_grpc(address, asked[:count], calls),
                lambda count, calls: _by_http(service.url, gets[:count], calls),
            ]
            order = (0, 1) if number % 2 == 0 else (1, 0)
            rates, latencies = {}, {}
            for side in order:
                rates[side] = sides[side](len(sentences), CONNECTIONS)[0]
            for side in order:
                latencies[side] = sides[side](LONE_REQUESTS, 1)[1]
            many.pairs.append((rates[0], rates[1]))
            lone.pairs.append((latencies[0], latencies[1]))
    return [many, lone]


def requests_of(sentences: Sequence[str]) -> list[bytes]:
    """The message that asks for each sentence."""
    request = message("text_classifier.v1.ClassifyRequest")
    return [request(sentences=[sentence]).SerializeToString() for sentence in sentences]


def _by_http(url: str, requests: Sequence[bytes], connections: int) -> tuple[float, float]:
    result = closed_loop(url, requests, connections)
    if set(result.statuses) != {200}:
        raise BenchmarkError(f"{url} answered {dict(result.statuses)}, first {result.first_failure}")
    return result.per_second, result.percentile_ms(0.5)


def _by_grpc(address: str, requests: Sequence[bytes], calls: int) -> tuple[float, float]:
    """Answers a second and the median latency in milliseconds. Raises BenchmarkError: an answer was a failure."""
    try:
        return uvloop.run(_closed_loop(address, requests, calls))
    except grpc.aio.AioRpcError as error:
        raise BenchmarkError(f"{address} answered {error.code().name}: {error.details()}") from None


async def _closed_loop(address: str, requests: Sequence[bytes], calls: int) -> tuple[float, float]:
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(min(CHANNELS, calls))]
    try:
        await asyncio.gather(*(channel.channel_ready() for channel in channels))
        methods = itertools.cycle([channel.unary_unary(METHOD) for channel in channels])
        waiting = iter(requests)
        latencies_ms: list[float] = []

        async def ask(method: Any) -> None:
            for request in waiting:
                start = time.perf_counter()
                await method(request)
                latencies_ms.append(1000 * (time.perf_counter() - start))

        start = time.perf_counter()
        await asyncio.gather(*(ask(next(methods)) for _ in range(calls)))
        return len(requests) / (time.perf_counter() - start), statistics.median(latencies_ms)
    finally:
        await asyncio.gather(*(channel.close() for channel in channels))
