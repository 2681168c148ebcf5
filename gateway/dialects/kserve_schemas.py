"""Bodies of requests and answers in KServe's v2 protocol."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt

from gateway.errors import InvalidRequestError

BINARY_LENGTH_HEADER = "Inference-Header-Content-Length"
"""How many bytes of a body are JSON, where binary data is behind them."""
SHARED_MEMORY = "shared_memory_region"

Parameters = dict[str, Any]


class V2Model(BaseModel):
    """Base of what has a name that begins with `model_`."""

    model_config = ConfigDict(protected_namespaces=())


class Live(BaseModel):
    """Whether the process answers."""

    live: bool


class Ready(BaseModel):
    """Whether a text can be answered."""

    ready: bool


class ModelReady(BaseModel):
    """Whether a model can answer."""

    name: str
    ready: bool


class ServerMetadata(BaseModel):
    """What serves."""

    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    """An input or an output; `-1` stands for any number of texts."""

    name: str
    datatype: str
    shape: list[int]
    labels: list[str] | None = Field(None, description="Of `scores`: the label of each column.")


class ModelMetadata(BaseModel):
    """What a request to a model gives and gets."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class InferInput(BaseModel):
    """The texts."""

    name: str = Field(description="`text`.", examples=["text"])
    shape: list[StrictInt] = Field(description="`[n]` or `[n, 1]`.", examples=[[1]])
    datatype: str = Field(description="`BYTES`.", examples=["BYTES"])
    parameters: Parameters = Field({}, description="`binary_data_size`, where the texts are behind the JSON.")
    data: list[str] | list[list[str]] = Field(examples=[["Mapa aprende un nuevo lenguaje"]])


class RequestedOutput(BaseModel):
    """One of the outputs."""

    name: str = Field(description="`label` or `scores`.")
    parameters: Parameters = Field({}, description="`binary_data`: whether it is to come as binary data.")


class InferBody(BaseModel):
    """The protocol's inference request. As in Triton, unknown fields and parameters are ignored."""

    id: str | None = Field(None, description="Comes back in the answer.")
    parameters: Parameters = Field({}, description="`binary_data_output`: whether outputs are to be binary data.")
    inputs: Annotated[list[InferInput], Field(min_length=1)]
    outputs: list[RequestedOutput] = Field([], description="Both, if none is named.")

    def texts(self, model: str) -> list[str]:
        """The texts. Raises InvalidRequestError: they are not as the shape says, or there are other inputs."""
        first = self.inputs[0]
        for each in self.inputs:
            if each.name != "text":
                raise InvalidRequestError(f"unexpected inference input '{each.name[:80]}' for model '{model}'")
        if len(self.inputs) > 1:
            raise InvalidRequestError(f"input 'text' is given {len(self.inputs)} times for model '{model}'")
        if SHARED_MEMORY in first.parameters:
            raise InvalidRequestError("shared memory is not taken: send the texts with the request")
        if first.datatype != "BYTES":
            raise InvalidRequestError(
                f"inference input 'text' data-type is '{first.datatype[:20]}', but model '{model}' expects 'BYTES'"
            )
        found = [text for each in first.data for text in ([each] if isinstance(each, str) else each)]
        shape = first.shape
        if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1) or shape[0] < 1:
            raise InvalidRequestError(f"unexpected shape {shape[:8]} of input 'text': it has to be [n] or [n,1]")
        if len(found) != shape[0]:
            raise InvalidRequestError(f"input 'text' has {len(found)} elements, and its shape {shape} has {shape[0]}")
        return found


class OutputTensor(BaseModel):
    """An output; one that comes as binary data has no `data`."""

    name: Literal["label", "scores"]
    datatype: Literal["BYTES", "FP32"]
    shape: list[int]
    parameters: Parameters | None = None
    data: list[str] | list[float] | None = None


class InferAnswer(V2Model):
    """The protocol's inference response."""

    id: str | None = None
    model_name: str
    model_version: str
    outputs: list[OutputTensor]
