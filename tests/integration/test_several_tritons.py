"""Two Tritons behind one address see a version seconds apart: no request fails, and no gateway goes back and forth."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.measure.ports import free_ports
from repository.store import ModelStore
from tests.integration.balancer import Balancer
from tests.integration.gateways import Gateway, running_gateway
from tests.integration.stack import ROOT
from tests.integration.swapping import QUESTIONS, SWAP_S, is_own, new_store, own_answers, until_answered, write_model
from tests.integration.traffic import Traffic
from tests.waiting import wait_until

APART_S = 3.0


class Tritons:
    """Two Tritons with a repository each, and the gateways' own, which has every version first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gateways = new_store(folder / "gateways")
        self.stores = [new_store(folder / name) for name in "ab"]
        self.ports: list[int] = []
        self.own = {1: own_answers(self.gateways.folder / "1")}

    def publish_for_gateways(self) -> tuple[int, Path]:
        """Another version: the gateways have its files, no Triton has."""
        number = self.gateways.numbers()[-1] + 1
        exported = write_model(self.folder / f"v{number}", number - 1, seed=number)
        self.own[number] = own_answers(exported)
        assert self.gateways.publish(exported) == number
        return number, exported

    def publish(self, place: int, number: int, exported: Path) -> None:
        """Let one of the Tritons load the version."""
        aside = Path(shutil.copytree(exported, self.folder / "aside"))
        aside.rename(self.stores[place].folder / str(number))
        wait_until(lambda: self.serves(place, number), SWAP_S, f"Triton {place} serves version {number}")

    def retract(self, place: int, number: int) -> None:
        """Let one of the Tritons unload the version."""
        self.stores[place].retract(number)
        wait_until(lambda: not self.serves(place, number), SWAP_S, f"Triton {place} unloads version {number}")

    def serves(self, place: int, version: int) -> bool:
        """Whether one of the Tritons serves the version."""
        url = f"http://127.0.0.1:{self.ports[place]}/v2/models/classifier/versions/{version}/ready"
        try:
            return httpx.get(url).status_code == 200
        except httpx.TransportError:
            return False


@contextlib.contextmanager
def running_triton(store: ModelStore, log: Path) -> Iterator[int]:
    """`python -m server`; its HTTP port."""
    ports = free_ports(3)
    names = ("TRITON_HTTP_PORT", "TRITON_GRPC_PORT", "TRITON_METRICS_PORT")
    env = {**os.environ, "MODEL_REPOSITORY": str(store.folder.parent), "TRITON_KIND": "embedded"}
    env |= {name: str(port) for name, port in zip(names, ports, strict=True)}
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "server"], cwd=ROOT, env=env, stdout=output, stderr=output)
    try:
        yield ports[0]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=40)


@pytest.fixture(scope="module")
def tritons(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tritons]:
    tritons = Tritons(tmp_path_factory.mktemp("tritons"))
    with contextlib.ExitStack() as stack:
        for place, store in enumerate(tritons.stores):
            tritons.ports.append(stack.enter_context(running_triton(store, tritons.folder / f"log-{place}")))
        for place in range(2):
            wait_until(lambda place=place: tritons.serves(place, 1), 60, "both Tritons serve")  # type: ignore[misc]
        yield tritons


@contextlib.contextmanager
def gateway_before(tritons: Tritons, log: Path, balancer: Balancer, **settings: str) -> Iterator[Gateway]:
    repository = str(tritons.gateways.folder.parent)
    env = {"MODEL_REPOSITORY": repository, "TRITON_HTTP_PORT": str(balancer.port), "LOG_REQUESTS": "false", **settings}
    with running_gateway({**os.environ, **env}, log) as gateway:
        yield gateway


def assert_all_right(traffic: Traffic, tritons: Tritons, log: Path) -> None:
    wrong = {answer: count for answer, count in traffic.answers.items() if not is_own(answer, tritons.own)}
    assert not wrong, f"{sum(wrong.values())} of {traffic.asked} answers, such as {next(iter(wrong))}"
    assert "Traceback" not in log.read_text()


@pytest.mark.parametrize("each_request", [False, True])
def test_a_version_that_one_triton_gets_seconds_later_costs_no_request(
    tritons: Tritons, tmp_path: Path, each_request: bool
) -> None:
    """Publishing and taking back, first at one of them, seconds later at the other."""
    log = tmp_path / "log"
    with Balancer(tritons.ports, each_request) as balancer, gateway_before(tritons, log, balancer) as gateway:
        with Traffic(gateway.port, QUESTIONS, connections=16) as traffic:
            until_answered(traffic, 1)
            number, exported = tritons.publish_for_gateways()
            for place in range(2):
                tritons.publish(place, number, exported)
                time.sleep(APART_S)
            until_answered(traffic, number)
        assert_all_right(traffic, tritons, log)
        assert traffic.versions == {1, number}
        assert traffic.went_back == 0
        assert min(balancer.dealt.values()) > 2
        with Traffic(gateway.port, QUESTIONS, connections=16) as traffic:
            until_answered(traffic, number)
            for place in range(2):
                tritons.retract(place, number)
                time.sleep(APART_S)
            until_answered(traffic, 1)
        assert_all_right(traffic, tritons, log)


def test_a_version_that_one_triton_never_gets_is_asked_where_it_is(tritons: Tritons, tmp_path: Path) -> None:
    """A gateway that is pinned to it has no other, so every call that meets the wrong Triton has to be asked again."""
    number, exported = tritons.publish_for_gateways()
    tritons.publish(0, number, exported)
    log, pin = tmp_path / "log", {"MODEL_VERSION": str(number)}
    with (
        Balancer(tritons.ports, each_request=True) as balancer,
        gateway_before(tritons, log, balancer, **pin) as gateway,
    ):
        with Traffic(gateway.port, QUESTIONS, connections=16) as traffic:
            until_answered(traffic, number)
        assert balancer.dealt[tritons.ports[1]] > 10, "calls met the Triton that lacks the version"
    assert_all_right(traffic, tritons, log)
    assert traffic.versions == {number}
