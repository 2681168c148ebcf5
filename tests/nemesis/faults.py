"""The nemesis' kinds of harm, each with an end: processes that are killed or hang, files, disks and S3 that fail."""

import contextlib
import os
import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from benchmarks.measure.soak.memory import part_of
from repository.manifest import MANIFEST_FILE, MODEL_FILE, TOKENIZER_FILE
from tests.nemesis.checker.commands import COMMANDS
from tests.nemesis.checker.faults import ALL, CONNECTION, MODEL, SLOW, UNREADY
from tests.nemesis.commands import Commands
from tests.nemesis.contents import BROKEN, write_broken
from tests.nemesis.history import OK, Recorder
from tests.nemesis.place import Place, Remote
from tests.nemesis.s3_cut import Door

TRITON, GATEWAY, BACKEND = "Triton", "gateway", "backend"
DEAD_S = 20.0
BALLAST = "ballast"


@dataclass
class Scene:
    """What the faults strike."""

    launcher: int
    place: Place
    commands: Commands
    recorder: Recorder
    folder: Path

    def processes(self, *parts: str) -> list[psutil.Process]:
        """Processes of these parts of the service that run now."""
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.launcher).children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if part_of(process.cmdline()) in parts:
                        found.append(process)
        return found

    def begin(self, name: str, *explains: str, moves: object = ()) -> int:
        """Record that a fault is in force from now on; returns what `end` wants."""
        asked: dict[str, Any] = {"fault": name, "explains": explains, "moves": moves}
        return self.recorder.invoke("nemesis", "fault", **asked)

    def end(self, fault: int) -> None:
        """Record that it is over."""
        self.recorder.end(fault, "nemesis", "fault", OK)

    @contextlib.contextmanager
    def fault(self, name: str, *explains: str, moves: object = ()) -> Iterator[None]:
        """Record that a fault is in force in this block."""
        fault = self.begin(name, *explains, moves=moves)
        try:
            yield
        finally:
            self.end(fault)


Wait = Callable[[float], object]
"""Waits so many seconds, or until the run ends."""


def kill_triton(scene: Scene, _chance: random.Random, _wait: Wait) -> None:
    """SIGKILL; the launcher starts it again."""
    with scene.fault("kill-triton", UNREADY):
        _kill(scene.processes(TRITON))


def kill_gateway(scene: Scene, _chance: random.Random, _wait: Wait) -> None:
    """SIGKILL; the one that is started in its place knows nothing of what the one before had acknowledged."""
    with scene.fault("kill-gateway", UNREADY, CONNECTION, moves=ALL):
        _kill(scene.processes(GATEWAY))


def pause_triton(scene: Scene, chance: random.Random, wait: Wait) -> None:
    """SIGSTOP of Triton and its backend, then SIGCONT."""
    with scene.fault("pause-triton", UNREADY), _stopped(scene.processes(TRITON, BACKEND)):
        wait(chance.uniform(1, 8))


def pause_gateway(scene: Scene, chance: random.Random, wait: Wait) -> None:
    """SIGSTOP, then SIGCONT: it knows an old state of things."""
    with scene.fault("pause-gateway", SLOW, CONNECTION, UNREADY), _stopped(scene.processes(GATEWAY)):
        wait(chance.uniform(1, 8))


def damage_version(scene: Scene, chance: random.Random, wait: Wait) -> None:
    """A file of one of the newest versions is cut short, garbled or deleted in place; it is mended afterwards."""
    root = scene.place.copy or getattr(scene.place.store, "folder", None)
    if root is None:
        return
    with scene.commands.lock:
        numbers = [number for number in scene.commands.good()[-2:] if (root / str(number)).is_dir()]
        if not numbers:
            return
        number = chance.choice(numbers)
        path = root / str(number) / chance.choice((MODEL_FILE, TOKENIZER_FILE, MANIFEST_FILE))
        how = chance.choice((_cut_short, _garble, _delete))
        content = path.read_bytes()
        scene.commands.bad.add(number)
        name = f"{how.__name__.strip('_').replace('_', '-')}-{path.name}"
        fault = scene.begin(name, UNREADY, MODEL, "rollback", "pin", moves=[number])
        how(path, content, chance)
    try:
        wait(chance.uniform(1, 8))
    finally:
        with scene.commands.lock:
            if path.parent.is_dir() and not isinstance(scene.place, Remote):  # there the copy is fetched again
                path.write_bytes(content)
            scene.commands.bad.discard(number)
        scene.end(fault)


def put_broken(scene: Scene, chance: random.Random, wait: Wait) -> None:
    """A version that can't be loaded gets in past `publish`, which refuses it; it is retracted afterwards."""
    with scene.commands.lock:
        scene.commands.publish(BROKEN, folder=_broken(scene.folder, "refused"))
        number = scene.commands.highest + 1
        fault = scene.begin("broken-version", "rollback")  # which may meet it, and is refused as `publish` is
        scene.place.put(number, _broken(scene.folder, f"broken-{number}"))
        scene.commands.bad.add(number)
        scene.commands.look()
    try:
        wait(chance.uniform(2, 8))
    finally:
        with scene.commands.lock:
            while number in scene.place.store.numbers():  # S3 may be away
                scene.commands.run("retract", {"version": number}, "VERSION")
            scene.commands.bad.discard(number)
        scene.end(fault)


def kill_publisher(scene: Scene, chance: random.Random, _wait: Wait) -> None:
    """`publish` is killed somewhere on its way."""
    scene.commands.publish(chance.choice(sorted(scene.commands.contents)), kill_after_s=chance.uniform(0.3, 2.5))


def fill_disk(scene: Scene, chance: random.Random, wait: Wait) -> None:
    """Not a byte more can be written to the repository; then the room is there again."""
    ballast = Path(scene.place.address).parent / BALLAST
    with scene.fault("full-disk", "publish", "rollback", "pin", "unpin"):  # what deletes goes on
        try:
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as stream:
                while True:
                    stream.write(bytes(4096))
            scene.commands.choose(chance)
            scene.commands.run("prune", {"keep": 2}, "--keep", "2")
            wait(chance.uniform(1, 6))
        finally:
            ballast.unlink(missing_ok=True)


def cut_s3(scene: Scene, chance: random.Random, wait: Wait) -> None:
    """Connections to S3 are reset, and new ones refused."""
    _shut_s3("cut-s3", Door.cut, Door.restore, scene, chance, wait)


def pause_s3(scene: Scene, chance: random.Random, wait: Wait) -> None:
    """S3 takes connections and says nothing."""
    _shut_s3("pause-s3", Door.hold, Door.release, scene, chance, wait)


def _shut_s3(
    name: str,
    shut: Callable[[Door], None],
    reopen: Callable[[Door], None],
    scene: Scene,
    chance: random.Random,
    wait: Wait,
) -> None:
    assert isinstance(scene.place, Remote)
    with scene.fault(name, *COMMANDS):
        shut(scene.place.door)
        try:
            wait(chance.uniform(1, 8))
        finally:
            reopen(scene.place.door)


Fault = Callable[[Scene, random.Random, Wait], None]
PROCESSES: dict[str, Fault] = {
    "kill-triton": kill_triton,
    "kill-gateway": kill_gateway,
    "pause-triton": pause_triton,
    "pause-gateway": pause_gateway,
    "cut-s3": cut_s3,
    "pause-s3": pause_s3,
}
"""What strikes processes and connections."""
VERSIONS: dict[str, Fault] = {
    "damage": damage_version,
    "broken": put_broken,
    "kill-publisher": kill_publisher,
    "full-disk": fill_disk,
}
"""What strikes versions, at the same time as one of the others."""


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=DEAD_S)


@contextlib.contextmanager
def _stopped(processes: list[psutil.Process]) -> Iterator[None]:
    try:
        for process in processes:
            _signal(process, signal.SIGSTOP)
        yield
    finally:
        for process in processes:
            _signal(process, signal.SIGCONT)


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(number)  # which looks whether the number still is that process


def _cut_short(path: Path, content: bytes, chance: random.Random) -> None:
    os.truncate(path, chance.randrange(len(content)))


def _garble(path: Path, content: bytes, chance: random.Random) -> None:
    place = chance.randrange(len(content))
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write(bytes(byte ^ 0x5A for byte in content[place : place + 64]))


def _delete(path: Path, _content: bytes, _chance: random.Random) -> None:
    path.unlink()


def _broken(folder: Path, name: str) -> Path:
    place = folder / name
    return place if place.is_dir() else write_broken(place)
