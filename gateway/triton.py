"""Asks Triton over HTTP: which versions are ready, and the logits of a batch."""

from types import TracebackType
from typing import Self

import aiohttp
import numpy as np
from tritonclient.http import InferInput, InferRequestedOutput
from tritonclient.http.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.errors import ModelFailedError, NotReadyError, VersionGoneError
from repository.inference import Float32Array, Int64Array
from repository.manifest import OUTPUT

CONNECTIONS = 128


class TritonClient:
    """One model in one Triton. Use as an asynchronous context manager."""

    def __init__(self, address: str, model_name: str) -> None:
        self.model_name = model_name
        self._address = address
        self._client = InferenceServerClient(address, conn_limit=CONNECTIONS)
        self._outputs = [InferRequestedOutput(OUTPUT, binary_data=True)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()

    async def ready_versions(self) -> list[int]:
        """Versions that Triton reports as READY, newest first.

        Raises:
            NotReadyError: Triton does not answer.
        """
        try:
            index = await self._client.get_model_repository_index()
        except (aiohttp.ClientError, InferenceServerException, OSError, TimeoutError) as error:
            raise NotReadyError(f"Triton does not answer on {self._address}; try again shortly.") from error
        ready = [
            int(entry["version"])
            for entry in index
            if entry["name"] == self.model_name and entry.get("state") == "READY"
        ]
        return sorted(ready, reverse=True)

    async def infer(self, version: int, inputs: dict[str, Int64Array]) -> Float32Array:
        """Logits `[batch, labels]` of `version` for INT64 inputs `[batch, sequence]`.

        Raises:
            NotReadyError: Triton does not answer.
            VersionGoneError: Triton no longer serves this version.
            ModelFailedError: Triton answered with an error, or a logit is no finite number.
        """
        tensors = []
        for name, array in inputs.items():
            tensor = InferInput(name, list(array.shape), "INT64")
            tensor.set_data_from_numpy(array, binary_data=True)
            tensors.append(tensor)
        try:
            result = await self._client.infer(
                self.model_name, tensors, model_version=str(version), outputs=self._outputs
            )
        except InferenceServerException as error:
            raise self._explain(version, error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise NotReadyError(f"Triton does not answer on {self._address}; try again shortly.") from error
        logits: Float32Array = result.as_numpy(OUTPUT)
        if not np.isfinite(logits).all():
            raise ModelFailedError(f"Version {version} of {self.model_name} gave a logit that is no finite number.")
        return logits

    def _explain(self, version: int, error: InferenceServerException) -> Exception:
        message = str(error.message())
        # Triton tells a version that is gone from a bad request by its words only; both are status 400.
        if "unknown model" in message or "unknown version" in message or "is not at ready state" in message:
            return VersionGoneError(f"Version {version} of {self.model_name} is no longer served; try again.")
        if error.status() == "503" or "Exceeds maximum queue size" in message:
            return NotReadyError("Triton's queue is full; try again shortly.")
        return ModelFailedError(f"Version {version} of {self.model_name} failed in Triton.")
