"""Asks Triton over HTTP: the state of each version, and the logits of a batch."""

import logging
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from urllib.parse import quote

import aiohttp
from tritonclient.http.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.errors import ModelFailedError, NotReadyError, VersionGoneError
from gateway.triton_wire import ConnectionPool, WireAnswer, infer_request
from repository.addresses import host_and_port
from repository.inference import Float32Array, Int64Array

logger = logging.getLogger(__name__)

READY = "READY"
_UNLOADED = "unloaded"


@dataclass(frozen=True)
class VersionState:
    """What Triton says of one version: `state` as in its repository index, `reason` where it is not ready."""

    number: int
    state: str
    reason: str


class TritonClient:
    """One model in one Triton. Use as an asynchronous context manager."""

    def __init__(self, host: str, port: int, model_name: str) -> None:
        self.model_name = model_name
        self._path_name = quote(model_name, safe="")
        self._address = host_and_port(host, port)
        self._client = InferenceServerClient(self._address)
        self._pool = ConnectionPool(host, port)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.close()
        await self._client.close()

    async def versions(self) -> list[VersionState]:
        """Versions that Triton knows, newest first, without those it unloaded on purpose.

        Raises:
            NotReadyError: Triton does not answer.
        """
        try:
            index = await self._client.get_model_repository_index()
        except (aiohttp.ClientError, InferenceServerException, OSError, TimeoutError) as error:
            raise NotReadyError(f"Triton does not answer on {self._address}; try again shortly.") from error
        found = [
            VersionState(int(entry["version"]), entry.get("state", ""), entry.get("reason", ""))
            for entry in index
            if entry["name"] == self.model_name and entry.get("version", "").isdecimal()
        ]
        return sorted((v for v in found if v.reason != _UNLOADED), key=lambda version: -version.number)

    async def infer(self, version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        """Logits `[batch, labels]` of `version` for INT64 inputs `[batch, sequence]`.

        Raises:
            NotReadyError: Triton does not answer.
            VersionGoneError: Triton no longer serves this version.
            ModelFailedError: Triton answered with an error.
        """
        request = infer_request(self._address, self._path_name, version, inputs)
        try:
            answer = await self._pool.exchange(request)
        except OSError as error:
            raise NotReadyError(f"Triton does not answer on {self._address}; try again shortly.") from error
        if answer.status != 200:
            raise self._explain(version, answer)
        return answer.logits()

    def _explain(self, version: int, answer: WireAnswer) -> Exception:
        message = answer.error()
        # Triton tells a version that is gone from a bad request by its words only; both are status 400.
        if "unknown model" in message or "unknown version" in message or "is not at ready state" in message:
            return VersionGoneError(f"Version {version} of {self.model_name} is no longer served; try again.")
        if answer.status == 503 or "Exceeds maximum queue size" in message:
            return NotReadyError("Triton's queue is full; try again shortly.")
        logger.warning("Version %d failed in Triton: %s", version, message)
        return ModelFailedError(f"Version {version} of {self.model_name} failed in Triton.", message)
