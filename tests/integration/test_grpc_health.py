"""What the gateway says of itself by gRPC: whether it is ready, and what it can be asked."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from gateway.rpc.messages import CLASSIFIER, HEALTH, INFERENCE
from tests.integration.gateways import publish
from tests.integration.rpc import Caller, HealthCheckRequest, HealthCheckResponse, labels_of, rpc_gateway, stub
from tests.integration.stack import ROOT, Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant"}
SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("health")
    publish(folder / "repository", "classifier", write_version(folder / "version", WORDS))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


def test_health_is_told_of_the_gateway_and_of_each_model(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", MODEL_NAMES="none,classifier") as (_, port):
        caller = Caller(port)
        for name in ("", CLASSIFIER, INFERENCE, "classifier"):
            assert caller.health(name).reply.status == SERVING
        assert caller.health("none").reply.status == NOT_SERVING
        assert caller.health("unheard of").code == "NOT_FOUND"


def test_a_watch_is_told_when_a_model_comes(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log", MODEL_NAMES="classifier,later") as (_, port):
        caller = Caller(port)
        watch = stub(caller.channel, HEALTH, "Watch")
        told = watch(HealthCheckRequest(service="later"), timeout=120)
        unheard = watch(HealthCheckRequest(service="unheard of"), timeout=120)
        assert next(told).status == NOT_SERVING
        assert next(unheard).status == HealthCheckResponse.SERVICE_UNKNOWN
        publish(stack.repository, "later", write_version(tmp_path / "later", WORDS))
        assert next(told).status == SERVING
        assert caller.classify("oak", model="later").reply.model == "later"
        told.cancel()
        unheard.cancel()


def test_no_more_watches_than_a_hundred_are_kept(stack: Stack, tmp_path: Path) -> None:
    with rpc_gateway(stack, tmp_path / "log") as (_, port):
        caller = Caller(port)
        watch = stub(caller.channel, HEALTH, "Watch")
        open_ones = [watch(HealthCheckRequest(), timeout=120) for _ in range(100)]
        assert {next(each).status for each in open_ones} == {SERVING}
        with pytest.raises(grpc.RpcError) as refused:
            next(watch(HealthCheckRequest(), timeout=60))
        assert refused.value.code().name == "RESOURCE_EXHAUSTED"
        assert labels_of(caller.classify("cat"))
        open_ones.pop().cancel()
        wait_until(lambda: is_told(watch), 10, "its place is free again")
        for each in open_ones:
            each.cancel()


def is_told(watch: Any) -> bool:
    told = watch(HealthCheckRequest(), timeout=60)
    try:
        return bool(next(told).status == SERVING)
    except grpc.RpcError:
        return False
    finally:
        told.cancel()


def test_reflection_describes_every_service_to_tools(stack: Stack, tmp_path: Path) -> None:
    program = """
import sys, grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
database = ProtoReflectionDescriptorDatabase(grpc.insecure_channel(sys.argv[1]))
pool = DescriptorPool(database)
for name in sorted(database.get_services()):
    print(name, *(method.name for method in pool.FindServiceByName(name).methods))
try:
    database.FindFileContainingSymbol("no.such.Thing")
except KeyError:
    print("unknown")
"""
    with rpc_gateway(stack, tmp_path / "log") as (_, port):
        done = subprocess.run(
            [sys.executable, "-c", program, f"127.0.0.1:{port}"], cwd=ROOT, capture_output=True, text=True, timeout=240
        )
    assert done.stdout.splitlines() == [
        "grpc.health.v1.Health Check Watch",
        "grpc.reflection.v1.ServerReflection ServerReflectionInfo",
        f"{INFERENCE} ServerLive ServerReady ModelReady ServerMetadata ModelMetadata ModelInfer",
        f"{CLASSIFIER} Classify",
        "unknown",
    ], done.stderr
