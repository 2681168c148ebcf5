"""One run: the service, its clients, commands and faults, each from the seed, then rest, and what was found."""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.stack import Stack
from tests.nemesis.checker import Checker, Violation
from tests.nemesis.clients import Client
from tests.nemesis.commands import PAUSE_S, Commands
from tests.nemesis.contents import own_answers, write_contents, write_own
from tests.nemesis.faults import PROCESSES, VERSIONS, Fault, Scene
from tests.nemesis.history import INVOKE, Entry, Recorder
from tests.nemesis.place import Place, Remote
from tests.nemesis.resting import come_to_rest, look_for_leftovers

HISTORY, OWN = "history.jsonl", "answers.json"
CLIENTS = 8
DEADLINE_S = 5.0
BETWEEN_PROCESSES_S = (3.0, 14.0)
"""What was killed has to come up now and then: the launcher waits longer each time, up to 30 s."""
BETWEEN_VERSIONS_S = (1.0, 8.0)
TOLD_EVERY_S = 15.0
QUIET_S = 3.0
"""How long clients ask on once all is at rest."""

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run does."""

    seed: int
    seconds: float
    kinds: Sequence[str]
    """Faults that may come."""


@dataclass
class Found:
    """What a run has found so far."""

    operations: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and outcome."""
    faults: Counter[str] = field(default_factory=Counter)
    versions: set[int] = field(default_factory=set)
    """That have answered."""
    violations: list[Violation] = field(default_factory=list)
    count: int = 0
    """Of violations; the first ones of each rule are told."""
    seconds: float = 0.0

    def take(self, entry: Entry) -> None:
        """Count an entry."""
        if entry.kind == "fault" and entry.type == INVOKE:
            self.faults[entry.value["fault"]] += 1
        elif entry.kind != "fault" and entry.type != INVOKE:
            outcome = f"{entry.value['status']}" if entry.value.get("status", 0) >= 100 else entry.type
            self.operations[entry.kind, outcome] += 1
            if entry.kind == "classify" and entry.type == "ok":
                self.versions.add(entry.value["version"])


def run(found: Found, plan: Plan, place: Place, folder: Path, report: Report) -> None:
    """Fill `found`; history and expected answers are written to `folder`. It may be interrupted at any moment."""
    contents = write_contents(folder / "contents")
    own = own_answers(contents)
    write_own(folder / OWN, own)
    checker = Checker(own)

    def take(entry: Entry) -> None:
        found.take(entry)
        checker.take(entry)

    with (folder / HISTORY).open("w", encoding="utf-8") as file:
        recorder = Recorder(file, take)
        try:
            _serve(plan, place, contents, folder, recorder, lambda: report(_progress(recorder, found, checker)))
        finally:
            found.violations, found.count, found.seconds = checker.finish(), checker.count(), recorder.elapsed_s()


def _serve(
    plan: Plan, place: Place, contents: dict[str, Path], folder: Path, recorder: Recorder, tell: Callable[[], None]
) -> None:
    stack = Stack(place.address, folder / "service.log", LOG_REQUESTS="false", **place.settings)
    stack.own_group = True  # it is to end after its clients
    stack.env["DEADLINE_MS"] = f"{1000 * DEADLINE_S:g}"
    commands = Commands(place, contents, {**stack.env}, recorder)
    commands.publish("content-0")
    commands.publish("content-1")
    interrupted = True
    try:
        with stack:
            assert stack.process is not None
            scene = Scene(stack.process.pid, place, commands, recorder, folder)
            with _clients(plan, stack, recorder):
                with _strikes(plan, scene):
                    _pass(plan.seconds, tell)
                come_to_rest(stack, scene)
                time.sleep(QUIET_S)
            interrupted = False
    finally:
        look_for_leftovers(stack, place, recorder, is_end=not interrupted)


@contextlib.contextmanager
def _clients(plan: Plan, stack: Stack, recorder: Recorder) -> Iterator[None]:
    clients = [
        Client(f"client-{place}", f"{plan.seed}-client-{place}", stack.ports["GATEWAY_PORT"], recorder, DEADLINE_S)
        for place in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    try:
        yield
    finally:
        for client in clients:
            client.stop()
        for client in clients:
            client.join()


@contextlib.contextmanager
def _strikes(plan: Plan, scene: Scene) -> Iterator[None]:
    """Commands and faults come and go in this block; whatever it ends by, every fault has ended after it."""
    stopping = threading.Event()
    failures: list[BaseException] = []

    def act(name: str, between_s: tuple[float, float], deeds: Sequence[Callable[[random.Random], None]]) -> None:
        chance = random.Random(f"{plan.seed}-{name}")
        try:
            while deeds and not stopping.wait(chance.uniform(*between_s)):
                chance.choice(deeds)(chance)
        except BaseException as error:  # of the test's own: the run is to end with it
            failures.append(error)

    def deeds_of(faults: dict[str, Fault]) -> list[Callable[[random.Random], None]]:
        chosen = [fault for name, fault in faults.items() if name in plan.kinds]
        return [lambda chance, fault=fault: fault(scene, chance, stopping.wait) for fault in chosen]  # type: ignore[misc]

    actors = [
        threading.Thread(target=act, args=("commands", PAUSE_S, [scene.commands.choose])),
        threading.Thread(target=act, args=("processes", BETWEEN_PROCESSES_S, deeds_of(PROCESSES))),
        threading.Thread(target=act, args=("versions", BETWEEN_VERSIONS_S, deeds_of(VERSIONS))),
    ]
    for actor in actors:
        actor.start()
    try:
        yield
    finally:
        stopping.set()
        for actor in actors:
            actor.join()
    if failures:
        raise failures[0]


def _pass(seconds: float, tell: Callable[[], None]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(TOLD_EVERY_S, left))
        tell()


def _progress(recorder: Recorder, found: Found, checker: Checker) -> str:
    asked = sum(found.operations.values())
    newest = max(found.versions, default=0)
    return (
        f"{recorder.elapsed_s():.0f} s: {asked} operations, {found.faults.total()} faults, version {newest}, "
        f"{checker.count()} violations"
    )


def kinds_for(place: Place, is_small: bool) -> list[str]:
    """Faults that can be had in this place."""
    missing = set() if is_small else {"full-disk"}
    if not isinstance(place, Remote):
        missing |= {"cut-s3", "pause-s3"}
    return [name for name in (*PROCESSES, *VERSIONS) if name not in missing]
