"""Callers by gRPC while Triton hangs, while they are too many, while they are slow, and while the gateway stops."""

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from benchmarks.measure.ports import free_ports
from gateway.rpc.messages import CLASSIFIER, HEALTH, message
from tests.integration.gateways import publish, running_gateway
from tests.integration.rpc import (
    CLASSIFY,
    Caller,
    ClassifyRequest,
    HealthCheckRequest,
    HealthCheckResponse,
    labels_of,
    rpc_gateway,
    stub,
)
from tests.integration.stack import ROOT, Stack
from tests.integration.test_faults import CALLS, HOLD, WAITING, wait_until_all_wait
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant"}
COUNTED = f'classifier_requests_total{{route="{CLASSIFY}",status="%s"}}'
RETRYING = (
    '{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s", '
    '"maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["RESOURCE_EXHAUSTED", "UNAVAILABLE"]}}]}'
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("grpc-faults")
    publish(folder / "repository", "classifier", write_version(folder / "version", WORDS))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


def hanging(stack: Stack) -> Any:
    """Triton gets no processor time."""
    return stack.hanging("tritonserver", "triton_python_backend_stub")


async def codes_of(port: int, count: int, timeout: float | None = None) -> Counter[str]:
    """How as many calls at once end."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = stub(channel, CLASSIFIER, "Classify")

        async def one() -> str:
            call = method(ClassifyRequest(sentences=["cat"]), timeout=timeout)
            return str((await call.code()).name)

        return Counter(await asyncio.gather(*(one() for _ in range(count))))


def test_the_callers_deadline_comes_before_the_gateways(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", **HOLD) as (gateway, port):
        with hanging(stack):
            assert asyncio.run(codes_of(port, 40, timeout=2)) == {"DEADLINE_EXCEEDED": 40}
            wait_until(lambda: gateway.metric(WAITING) == 0, 5, "nothing waits any more")
            # Not how many: on a busy machine some are over before the gateway has seen them.
            wait_until(
                lambda: gateway.metric(COUNTED % "DEADLINE_EXCEEDED") > 0, 5, "they are counted as what they are"
            )
        assert labels_of(Caller(port).classify("cat"))[0][0]["label"] == "Animal"
        assert gateway.metric("classifier_batch_sentences_sum") <= CALLS + 1, "only what was under way was computed"
        assert "Traceback" not in gateway.log.read_text()


def test_the_gateways_own_deadline_is_told_to_a_patient_caller(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", DEADLINE_MS="500") as (_, port), hanging(stack):
        late = Caller(port).classify("cat")
    assert (late.code, late.details) == ("DEADLINE_EXCEEDED", "No answer within 0.5 seconds; try again later.")
    assert late.told["x-request-id"]


def test_callers_who_cancel_give_up_their_places(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", **HOLD) as (gateway, port):
        with hanging(stack):
            asyncio.run(ask_and_cancel(gateway, port, 100))
            wait_until(lambda: gateway.metric(WAITING) == 0, 5, "nothing waits any more")
            wait_until(lambda: gateway.metric(COUNTED % "CANCELLED") == 100, 5, "all are counted")
        assert labels_of(Caller(port).classify("cat"))
        assert gateway.metric("classifier_batch_sentences_sum") <= CALLS + 1


async def ask_and_cancel(gateway: Any, port: int, count: int) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        method = stub(channel, CLASSIFIER, "Classify")
        calls = [method(ClassifyRequest(sentences=["cat"])) for _ in range(count)]
        await asyncio.to_thread(wait_until_all_wait, gateway, count)
        for call in calls[: count // 2]:
            call.cancel()
    # The rest hangs up with its connection.


def test_too_many_are_refused_at_once_and_told_when_to_come_back(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", **{**HOLD, "MAX_WAITING": "10"}) as (gateway, port):
        caller = Caller(port)
        retrying = Caller(port, [("grpc.service_config", RETRYING)])
        with hanging(stack):
            crowd = [caller.channel.unary_unary(CLASSIFY).future(CAT, timeout=120) for _ in range(10 + CALLS)]
            wait_until(lambda: gateway.metric(WAITING) == 10, 10, "all places are taken")
            refused = caller.classify("cat")
            assert refused.code == "RESOURCE_EXHAUSTED"
            assert refused.details == "Too busy: 10 sentences are waiting; try again shortly."
            assert (refused.told["retry-after"], refused.told["grpc-retry-pushback-ms"]) == ("1", "1000")
            patient = retrying.channel.unary_unary(CLASSIFY).future(CAT, timeout=120)
            wait_until(lambda: gateway.metric(COUNTED % "RESOURCE_EXHAUSTED") >= 2, 10, "it was refused, too")
        assert patient.result(), "a caller with a retry policy comes back by itself"
        assert all(each.result() for each in crowd)


CAT = ClassifyRequest(sentences=["cat"]).SerializeToString()


def test_who_sends_no_message_is_not_waited_for(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", BODY_TIMEOUT_SECONDS="0.5") as (_, port):
        outcome = asyncio.run(silent_call(port, CLASSIFY))
        assert outcome[0] == "DEADLINE_EXCEEDED"
        assert outcome[1] == "The message was not whole within 0.5 seconds: send it faster, or in parts."
        assert asyncio.run(silent_call(port, f"/{HEALTH}/Watch"))[0] == "DEADLINE_EXCEEDED"
        assert asyncio.run(silent_call(port, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"))


async def silent_call(port: int, path: str) -> tuple[str, str]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.stream_stream(path)(timeout=60)
        return (await call.code()).name, await call.details()


def test_connections_past_the_bound_are_refused_and_the_others_stay(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", MAX_CONNECTIONS="8") as (gateway, port):
        caller = Caller(port)
        assert labels_of(caller.classify("cat"))
        sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(40)]
        wait_until(lambda: sum(map(is_closed, sockets)) >= 30, 10, "those past the bound are closed")
        assert labels_of(caller.classify("oak"))
        assert gateway.is_ready(), "callers by HTTP have places of their own"
        for each in sockets:
            each.close()
        wait_until(lambda: Caller(port).classify("cat").code == "OK", 10, "new callers are let in again")


def is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.05)
    try:
        return connection.recv(1 << 16) == b"" or is_closed(connection)
    except TimeoutError:
        return False
    except OSError:
        return True


def test_sigterm_lets_calls_finish_and_ends_watches(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", **HOLD) as (gateway, port):
        watch = stub(Caller(port).channel, HEALTH, "Watch")(HealthCheckRequest(), timeout=120)
        assert next(watch).status == HealthCheckResponse.SERVING
        caller = Caller(port)
        with hanging(stack):
            calls = [caller.channel.unary_unary(CLASSIFY).future(CAT, timeout=120) for _ in range(60)]
            wait_until(lambda: gateway.metric(WAITING) == 60 - CALLS, 10, "all are taken in")
            gateway.process.send_signal(signal.SIGTERM)
            assert [each.status for each in watch] == [HealthCheckResponse.NOT_SERVING]
            assert not any(each.done() for each in calls)
        assert all(each.result() for each in calls)
        assert gateway.process.wait(timeout=60) in (0, -signal.SIGTERM)
        assert caller.classify("cat").code == "UNAVAILABLE"
        assert "Traceback" not in gateway.log.read_text()


def test_keys_are_asked_of_those_whom_http_asks(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", API_KEYS="first,second") as (gateway, port):
        caller = Caller(port)
        request = ClassifyRequest(sentences=["cat"])
        for given in ("Bearer first", "bearer second", "BEARER  second"):
            assert labels_of(caller.send(request, metadata=[("authorization", given)]))
        by_http = gateway.client.get("/classify?sentence=cat")
        for metadata in ([], [("authorization", "Bearer third")], [("authorization", "first")], [("bearer", "first")]):
            refused = caller.send(request, metadata=metadata)
            assert (refused.code, refused.details) == ("UNAUTHENTICATED", by_http.json()["error"])
        empty = {name: message(f"inference.{name}Request")() for name in ("ServerLive", "ServerReady", "ModelReady")}
        assert {caller.infer(method, each).code for method, each in empty.items()} == {"OK"}
        closed = {
            name: message(f"inference.{name}Request")() for name in ("ServerMetadata", "ModelMetadata", "ModelInfer")
        }
        assert {caller.infer(method, each).code for method, each in closed.items()} == {"UNAUTHENTICATED"}
        assert caller.health().reply.status == HealthCheckResponse.SERVING
    assert "second" not in gateway.log.read_text()


def test_several_workers_share_the_port(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", WORKERS="2") as (gateway, port):
        callers = [Caller(port, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(24)]
        wait_until(lambda: {each.health().reply.status for each in callers} == {1}, 30, "both workers are ready")
        for each in callers:
            assert labels_of(each.classify("cat oak cat"))[0][0]["label"] == "Animal"
        assert gateway.metric(COUNTED % "OK") == len(callers)
        lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
        assert len([line for line in lines if line["route"] == CLASSIFY]) == len(callers)


def gateway_that_fails(stack: Stack, *prelude: str, **settings: str) -> tuple[int, str]:
    """Status and output of a gateway that is not to start."""
    (port,) = free_ports(1)
    program = "\n".join([*prelude, "import runpy", "runpy.run_module('gateway', run_name='__main__')"])
    env = {**stack.env, "GATEWAY_PORT": str(port), "NO_COLOR": "1", **settings}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, timeout=240
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_taken_port_is_told_in_a_line_and_stops_the_start(stack: Stack, tmp_path: Path, workers: str) -> None:
    with rpc_gateway(stack, tmp_path / "log") as (_, port):
        status, output = gateway_that_fails(stack, GRPC_PORT=str(port), WORKERS=workers)
    assert status == 2
    assert output == f"Error: GRPC_PORT: cannot listen on 127.0.0.1:{port}: Address already in use; give another port\n"


def test_one_port_for_both_is_refused(stack: Stack) -> None:
    status, output = gateway_that_fails(stack, GATEWAY_PORT="8000", GRPC_PORT="8000")
    assert (status, output.count("\n")) == (2, 1)
    assert "GRPC_PORT and GATEWAY_PORT are both 8000" in output


@pytest.mark.parametrize("package", ["grpc", "google"])
def test_without_the_package_one_line_says_what_brings_it(stack: Stack, package: str) -> None:
    hide = (
        "import sys\nclass Hidden:\n def find_spec(self, name, path=None, target=None):\n"
        f"  if name.partition('.')[0] == {package!r}: raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Hidden())"
    )
    status, output = gateway_that_fails(stack, hide, GRPC_PORT=str(free_ports(1)[0]))
    assert (status, output) == (2, f"Error: the package {package} is not installed: pip install '.[grpc]' brings it\n")


def test_a_gateway_that_is_not_asked_by_grpc_does_not_load_it(stack: Stack, tmp_path: Path) -> None:
    def loaded(pid: int) -> bool:
        return "cygrpc" in Path(f"/proc/{pid}/maps").read_text()

    with rpc_gateway(stack, tmp_path / "on") as (gateway, _):
        assert loaded(gateway.process.pid), "else this test can tell nothing"
    with running_gateway(stack.env, tmp_path / "off") as gateway:
        assert gateway.client.get("/classify?sentence=cat").status_code == 200
        assert not loaded(gateway.process.pid)
