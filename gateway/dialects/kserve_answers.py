"""Which outputs are asked of an inference in KServe's v2 protocol, and how are they written?"""

from typing import Any

from pydantic_core import to_json

from gateway.dialects.kserve_schemas import SHARED_MEMORY, InferBody
from gateway.dialects.kserve_tensors import SIZE, floats_tensor, strings_tensor
from gateway.dialects.scored import Scored
from gateway.errors import InvalidRequestError

OUTPUTS = ("label", "scores")


def asked_outputs(body: InferBody, model: str) -> dict[str, bool]:
    """The names of the outputs that a request asks for, in its order, and whether each comes as binary data.

    Raises:
        InvalidRequestError: there is no such output, or it is to come in a way that is not spoken here.
    """
    by_default = body.parameters.get("binary_data_output") is True
    asked: dict[str, bool] = {}
    for output in body.outputs:
        if output.name not in OUTPUTS:
            raise InvalidRequestError(f"unexpected inference output '{output.name[:80]}' for model '{model}'")
        if "classification" in output.parameters:
            raise InvalidRequestError(
                f"the classification extension is not spoken here: take output '{output.name}' as it is"
            )
        if SHARED_MEMORY in output.parameters:
            raise InvalidRequestError("shared memory is not written to: take the outputs from the answer")
        asked[output.name] = output.parameters.get("binary_data", by_default) is True
    return asked or dict.fromkeys(OUTPUTS, by_default)


def answer_bytes(body: InferBody, outputs: dict[str, bool], found: Scored, model: str) -> tuple[bytes, int | None]:
    """The body of the answer, and how many of its bytes are JSON if binary data is behind them."""
    names = found.manifest.labels
    best = [names[int(scores.argmax())] for scores in found.scores]
    shown, behind = [], []
    for name, is_binary in outputs.items():
        shape = body.inputs[0].shape if name == "label" else [len(best), len(names)]
        tensor: dict[str, Any] = {"name": name, "datatype": "BYTES" if name == "label" else "FP32", "shape": shape}
        if is_binary:
            data = strings_tensor(best) if name == "label" else floats_tensor(found.scores)
            behind.append(data)
            tensor["parameters"] = {SIZE: len(data)}
        elif name == "label":
            tensor["data"] = best
        else:
            tensor["data"] = [score for scores in found.scores for score in scores.tolist()]
        shown.append(tensor)
    told = {"model_name": model, "model_version": str(found.predictions.version.number), "outputs": shown}
    if body.id is not None:
        told = {"id": body.id, **told}
    text = to_json(told)
    return text + b"".join(behind), len(text) if any(outputs.values()) else None
