"""After the last fault: wait until all views agree, and record what they show; after the end, what is left behind."""

import time
from pathlib import Path
from typing import Any

import httpx

from repository.store import numbers_in
from tests.integration.stack import Stack
from tests.nemesis.faults import Scene
from tests.nemesis.history import Recorder
from tests.nemesis.place import MODEL, Place
from tests.waiting import PATIENCE

REST_S = 60.0
"""On a quiet machine: the launcher waits up to 30 s before it starts again what died often, then a version loads."""
SHARED_MEMORY = Path("/dev/shm")


def come_to_rest(stack: Stack, scene: Scene) -> None:
    """Wait until the views agree for a while, and record them; the last ones if they never do."""
    scene.commands.run("prune", {"keep": 3}, "--keep", "3")  # it also clears up after those who were killed
    deadline = time.monotonic() + REST_S * PATIENCE
    agreed = 0
    while True:
        views = _views(stack, scene)
        agreed = agreed + 1 if _agree(views) else 0
        if agreed == 3 or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    scene.recorder.note("observer", "rest", **views)


def look_for_leftovers(stack: Stack, place: Place, recorder: Recorder, is_end: bool) -> None:
    """Record processes, shared memory and half written folders of the service, which has ended."""
    processes = stack.processes()
    left = [f"process {pid}" for pid in processes]
    if stack.process is not None:
        left += [path.name for path in SHARED_MEMORY.glob(f"text-classifier-triton.*.{stack.process.pid}.*")]
    if is_end:  # where a run was interrupted, a command may have been, too
        left += place.left()
    recorder.note("observer", "left", left=left)


def _views(stack: Stack, scene: Scene) -> dict[str, Any]:
    copy = scene.place.copy
    found: dict[str, Any] = {
        "disk": scene.place.store.numbers(),
        "pinned": scene.commands.pinned,
        "copy": None if copy is None else numbers_in(copy),
        "triton": _triton(stack),
        "models": [],
        "current": None,
        "answered": None,
    }
    try:
        models = stack.client.get("/models").json()
        answer = stack.classify("word20")
    except (httpx.TransportError, ValueError):
        return found
    states = {version["version"]: version["state"] for version in models.get("versions", [])}
    found["models"] = [number for number, state in states.items() if state in ("current", "ready")]
    found["current"] = models.get("current")
    if answer.status_code == 200:
        found["answered"] = int(answer.headers["x-model-version"])
    return found


def _triton(stack: Stack) -> list[int]:
    url = f"http://127.0.0.1:{stack.ports['TRITON_HTTP_PORT']}/v2/repository/index"
    try:
        listed = httpx.post(url, timeout=10).json()
    except (httpx.TransportError, ValueError):
        return []
    return [int(each["version"]) for each in listed if each["name"] == MODEL and each.get("state") == "READY"]


def _agree(views: dict[str, Any]) -> bool:
    served = [views["pinned"]] if views["pinned"] is not None else sorted(views["disk"])[-2:]
    lists = [views[name] for name in ("copy", "triton", "models") if views[name] is not None]
    return all(sorted(view) == served for view in lists) and views["current"] == views["answered"] == served[-1]
