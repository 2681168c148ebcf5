"""Answers the Open Inference Protocol (KServe's version 2), `inference.GRPCInferenceService`, whose input is text."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from pydantic_core import to_json

from gateway.answers import logged, refuse_too_many, told
from gateway.errors import GatewayError, InvalidRequestError, NotReadyError
from gateway.meaning.labels import shown_scores
from gateway.rpc.calls import Call
from gateway.rpc.messages import message
from gateway.rpc.tensors import LABEL, SCORES, TEXT, outputs_wanted, put_outputs, texts_in
from gateway.service import Service
from gateway.services import Services
from repository.names import is_version_name
from repository.spelling import DISTRIBUTION

PLATFORM = "onnxruntime_onnx"
SERVED = ("current", "candidate", "ready")
"""States of versions that can be asked."""

ServerLive, ServerReady, ModelReady, ServerMetadata, ModelMetadata, ModelInfer = (
    message(f"inference.{name}Response")
    for name in ("ServerLive", "ServerReady", "ModelReady", "ServerMetadata", "ModelMetadata", "ModelInfer")
)


class Inference:
    """The methods of the protocol, for the models that are served."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def server_live(self, _: Call) -> Any:
        """The process answers."""
        return ServerLive(live=True)

    async def server_ready(self, _: Call) -> Any:
        """Whether any model can answer."""
        try:
            self._services.ready()
        except NotReadyError:
            return ServerReady(ready=False)
        return ServerReady(ready=True)

    async def model_ready(self, call: Call) -> Any:
        """Whether a model, or one version of it, can answer; false for one that there is not."""
        number = _number(call.message.version)
        try:
            service = self._of(call, call.message.name)
            current = service.versions.ready()
            if number not in (None, current.number):
                service.classifier.check_version(number)
        except GatewayError:
            return ModelReady(ready=False)
        return ModelReady(ready=True)

    async def server_metadata(self, _: Call) -> Any:
        """Name and release of the gateway."""
        try:
            release = version(DISTRIBUTION)
        except PackageNotFoundError:
            release = ""  # of a checkout that is not installed
        return ServerMetadata(name=DISTRIBUTION, version=release)

    async def model_metadata(self, call: Call) -> Any:
        """Which versions of a model can be asked, with which tensors.

        Raises:
            UnknownModelError, UnknownVersionError: there is no such model, or no such version of it.
            UnusedVersionError, NotReadyError: that one, or none of it, can answer.
        """
        service = self._of(call, call.message.name)
        number = _number(call.message.version) or service.versions.ready().number
        labels = service.labels_of(number)
        versions = [str(each.version) for each in service.models().versions if each.state in SERVED]
        response = ModelMetadata(name=service.settings.model_name, versions=versions, platform=PLATFORM)
        response.inputs.add(name=TEXT, datatype="BYTES", shape=[-1])
        response.outputs.add(name=LABEL, datatype="BYTES", shape=[-1])
        response.outputs.add(name=SCORES, datatype="FP32", shape=[-1, len(labels)])
        return response

    async def model_infer(self, call: Call) -> Any:
        """The best label of each text, and the scores of all labels, in the order of the version's labels.

        Raises:
            InvalidRequestError: its tensors are not those that the metadata describe.
            GatewayError: what `Classifier.predict` raises.
        """
        request = call.message
        service = self._of(call, request.model_name)
        number, wanted, texts = _number(request.model_version), outputs_wanted(request), texts_in(request)
        refuse_too_many(len(texts), service.settings.max_sentences)
        calibrated = service.settings.calibrated
        predictions = await service.classifier.predict(texts, version=number, alone=calibrated, within_s=call.within_s)
        call.told |= told(service, call.record, predictions, [logged(text) for text in texts], None)
        names = predictions.version.manifest.labels
        scores = np.stack(shown_scores(predictions, calibrated)).astype(np.float32, copy=False)
        response = ModelInfer(
            model_name=service.settings.model_name, model_version=str(predictions.version.number), id=request.id
        )
        best = [names[place] for place in scores.argmax(axis=1).tolist()]
        order = to_json(list(names)).decode()
        put_outputs(response, wanted, best, scores, bool(request.raw_input_contents), order)
        return response

    def _of(self, call: Call, name: str) -> Service:
        service = self._services.of(name or None)
        call.record.model = service.settings.model_name
        return service


def _number(given: str) -> int | None:
    """A version as the protocol writes it, a string; None for an empty one. Raises InvalidRequestError."""
    if not given:
        return None
    if not is_version_name(given):
        raise InvalidRequestError(f"Version {given[:40]!r} is no number: ModelMetadata lists the versions.")
    return int(given)
