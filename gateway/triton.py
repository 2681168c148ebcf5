"""Asks Triton over HTTP: the state of each version, and the logits of a batch.

Several Tritons may share the address; each takes in a new version in its own time. So what one does not know is asked
again over fresh connections, which may lead to another, before it is believed.
"""

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote

from gateway.errors import ModelFailedError, NotReadyError, VersionGoneError
from gateway.tracing.parts import CallTrace
from gateway.triton_pool import ConnectionPool
from gateway.triton_wire import WireAnswer, infer_request, plain_request
from repository.addresses import host_and_port
from repository.inference import Float32Array, Int64Array

logger = logging.getLogger(__name__)

READY = "READY"
_UNLOADED = "unloaded"

OTHERS_ASKED = 12
"""Fresh connections over which a version is looked for: where half the Tritons have it, one in 4,096 looks in vain."""

PROBES = 6
"""Fresh connections over which a new version has to be ready before it is thought to be everywhere."""


@dataclass(frozen=True)
class VersionState:
    """What Triton says of one version: `state` as in its repository index, `reason` where it is not ready."""

    number: int
    state: str
    reason: str


class TritonClient:
    """One model in one Triton, or in several behind one address. Use as an asynchronous context manager."""

    def __init__(self, host: str, port: int, model_name: str) -> None:
        self.model_name = model_name
        self._path_name = quote(model_name, safe="")
        self._address = host_and_port(host, port)
        self._pool = ConnectionPool(host, port, _serves)
        self._ready: set[int] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()

    async def versions(self) -> list[VersionState]:
        """Versions that Triton knows, newest first, without those it unloaded on purpose.

        A version that was ready when this was last asked is ready still if any Triton that can be met says so.

        Raises:
            NotReadyError: Triton does not answer.
        """
        found = await self._index()
        for _ in range(OTHERS_ASKED):
            if not self._ready - _ready(found):
                break
            elsewhere = {}
            with contextlib.suppress(NotReadyError):  # another may be there
                elsewhere = await self._index()
            found = {**found, **{n: state for n, state in elsewhere.items() if n not in found or state.state == READY}}
        self._ready = _ready(found)
        return [found[number] for number in sorted(found, reverse=True)]

    async def is_everywhere(self, version: int) -> bool:
        """Whether every Triton that can be met serves the version; there may be more of them.

        They are asked at the same moment: where turns are dealt out, calls that come between one question and the next
        could lead each of them to the same Triton.

        Raises:
            NotReadyError: Triton does not answer.
        """
        path = f"/v2/models/{self._path_name}/versions/{version}/ready"
        try:
            count = max(PROBES, len(await self._pool.addresses()))
            answers = await asyncio.gather(*(self._control("GET", path) for _ in range(count)))
        except OSError as error:
            raise self._away() from error
        return all(answer.status == 200 for answer in answers)

    async def model_config(self) -> bytes:
        """The model's config as Triton has it, in JSON. Raises NotReadyError: Triton does not answer."""
        try:
            answer = await self._control("GET", f"/v2/models/{self._path_name}/config")
        except OSError as error:
            raise self._away() from error
        return answer.body

    async def infer(self, version: int, inputs: dict[str, Int64Array], trace: CallTrace | None = None) -> Float32Array:
        """Logits `[batch, labels]` of `version` for INT64 inputs `[batch, sequence]`; `trace` follows the call.

        Raises:
            NotReadyError: Triton does not answer.
            VersionGoneError: No Triton that could be met serves this version.
            ModelFailedError: Triton answered with an error.
        """
        try:
            headers = "" if trace is None else trace.headers
            request = infer_request(self._address, self._path_name, version, inputs, headers)
            answer = await self._ask_around(request, trace)
        except OSError as error:
            raise self._away() from error
        if answer.status != 200:
            raise self._explain(version, answer)
        try:
            return answer.logits()
        except ValueError as error:
            raise ModelFailedError(f"Triton's answer for version {version} could not be read.", str(error)) from error

    async def _ask_around(self, request: bytes, trace: CallTrace | None) -> WireAnswer:
        """The answer of the first Triton that serves what is asked for; asking twice changes nothing in a Triton.

        One that stops, or is gone, is taken for an accident once; then they are all away.

        Raises:
            OSError: they are.
        """
        accidents = 0
        reason = ""
        told = None if trace is None else trace.asked_again
        for turn in range(1 + OTHERS_ASKED):
            if turn and told is not None:
                told(reason)
            try:
                answer = await self._pool.exchange(request, fresh=turn > 0, told=told)
            except OSError as error:
                if accidents:
                    raise
                accidents += 1
                reason = f"Triton cannot be reached: {type(error).__name__}"
                continue
            if trace is not None:
                trace.answered(answer.status)
            if _serves(answer) or (answer.status == _STOPPING and accidents):
                break
            accidents += answer.status == _STOPPING
            reason = "Triton stops" if answer.status == _STOPPING else "this Triton lacks the version"
        return answer

    async def _index(self) -> dict[int, VersionState]:
        try:
            answer = await self._control("POST", "/v2/repository/index")
        except OSError as error:
            raise self._away() from error
        if answer.status != 200:
            raise self._away()
        try:
            states = [
                VersionState(int(entry["version"]), str(entry.get("state", "")), str(entry.get("reason", "")))
                for entry in json.loads(answer.body)
                if entry["name"] == self.model_name and entry.get("version", "").isdecimal()
            ]
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise self._away() from error  # what answers there is no Triton
        return {state.number: state for state in states if state.reason != _UNLOADED}

    async def _control(self, method: str, path: str) -> WireAnswer:
        return await self._pool.exchange(plain_request(self._address, method, path), fresh=True)

    def _away(self) -> NotReadyError:
        return NotReadyError(f"Triton does not answer on {self._address}; try again shortly.")

    def _explain(self, version: int, answer: WireAnswer) -> Exception:
        message = answer.error()
        if _lacks_version(answer):
            return VersionGoneError(f"Version {version} of {self.model_name} is no longer served; try again.", version)
        if answer.status == _STOPPING or "Exceeds maximum queue size" in message:
            return NotReadyError("Triton's queue is full; try again shortly.")
        if _LOST_STUB in message:
            return NotReadyError("Triton's backend does not answer; try again shortly.")
        logger.warning("Version %d failed in Triton: %s", version, message)
        return ModelFailedError(f"Version {version} of {self.model_name} failed in Triton.", message)


_STOPPING = 503
"""Status of a Triton that stops, or whose queue is full."""
_LOST_STUB = "is not healthy"
"""Of "Stub process 'classifier_0_0' is not healthy.": the Python backend's process has ended or hangs, whatever it was
asked. Triton starts another, or is started again itself."""


def _serves(answer: WireAnswer) -> bool:
    return answer.status == 200 or not (answer.status == _STOPPING or _lacks_version(answer))


def _lacks_version(answer: WireAnswer) -> bool:
    # Triton tells a version that is gone from a bad request by its words only; both are status 400.
    message = answer.error()
    return "unknown model" in message or "unknown version" in message or "is not at ready state" in message


def _ready(states: dict[int, VersionState]) -> set[int]:
    return {number for number, state in states.items() if state.state == READY}
