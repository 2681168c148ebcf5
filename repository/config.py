"""`config.pbtxt` of a model: written and read through Triton's own protobuf messages, never as a string."""

from collections.abc import Mapping
from dataclasses import dataclass

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from repository.cascade import STUDENT_FILE, student_model
from repository.manifest import CONFIG_FILE, INPUTS, OUTPUT, RepositoryError

TENSORRT = "tensorrt"
# ONNX Runtime's threads for one execution, under the name that Triton's own backend gives it.
THREADS = "intra_op_thread_count"
# Of the backend in `server.backends` alone: several executions at a time, each on one thread.
ONE_THREAD = "one_thread_a_run"
# No engine cache: it would lie in Triton's working folder, and every version is another graph.
TENSORRT_PARAMETERS = {"precision_mode": "FP16"}


@dataclass(frozen=True)
class ModelConfig:
    """What may differ between models; everything else follows from the shape all exported graphs share.

    Attributes:
        name: name of the model in Triton.
        max_batch_size: most sentences in one execution.
        loaded_versions: how many of the newest versions stay loaded; 2 lets requests to the previous one finish.
        pinned: the one version that is loaded, in place of the newest ones.
        instance_count: copies of the model that compute at the same time.
        tensorrt: whether a GPU runs the graph through TensorRT, in float16; the CPU does as before.
        queue_delay_us: how long Triton holds a request back for others to join it, in microseconds.
        threads: threads of one execution; 0 lets the backend choose.
    """

    name: str
    max_batch_size: int = 64
    loaded_versions: int = 2
    instance_count: int = 1
    pinned: int | None = None
    tensorrt: bool = False
    queue_delay_us: int = 0
    threads: int = 0

    def __post_init__(self) -> None:
        for field in ("max_batch_size", "loaded_versions", "instance_count"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1")
        for field in ("queue_delay_us", "threads"):
            if getattr(self, field) < 0:
                raise ValueError(f"{field} must be at least 0")

    def to_pbtxt(self) -> str:
        """The text that Triton reads."""
        return str(text_format.MessageToString(self._message()))

    def _message(self) -> model_config_pb2.ModelConfig:
        message = model_config_pb2.ModelConfig(
            name=self.name, backend="onnxruntime", max_batch_size=self.max_batch_size
        )
        for name in INPUTS:
            message.input.add(name=name, data_type=model_config_pb2.TYPE_INT64, dims=[-1])
        # -1: a version with another number of labels needs no new config.
        message.output.add(name=OUTPUT, data_type=model_config_pb2.TYPE_FP32, dims=[-1])
        _set_policy(message, self.pinned, self.loaded_versions)
        # No kind: Triton takes the GPU where there is one and the CPU elsewhere, so both read the same file.
        message.instance_group.add(count=self.instance_count)
        # No queue policy: with any bound on its queue, Triton's batcher loses count of the instances that wait for
        # work, and requests lie for 500 ms before it looks again (triton-inference-server/server issue 8870). The
        # gateway bounds what waits, and has only a few calls under way.
        message.dynamic_batching.SetInParent()
        if self.queue_delay_us:
            message.dynamic_batching.max_queue_delay_microseconds = self.queue_delay_us
        _set_threads(message, self.threads)
        if self.tensorrt:
            accelerator = message.optimization.execution_accelerators.gpu_execution_accelerator.add(name=TENSORRT)
            accelerator.parameters.update(TENSORRT_PARAMETERS)
        for batch_size, length in ((1, 16), (min(8, self.max_batch_size), 32)):
            warmup = message.model_warmup.add(name=f"batch_{batch_size}", batch_size=batch_size)
            for name in INPUTS:
                # Zeros are token ids that every vocabulary has; random ids would fall outside most of them.
                warmup.inputs[name].data_type = model_config_pb2.TYPE_INT64
                warmup.inputs[name].dims.append(length)
                warmup.inputs[name].zero_data = True
        return message


def with_pin(text: str, pinned: int | None) -> str:
    """The same config, but with one version pinned, or, for None, with the newest versions loaded again.

    Raises:
        RepositoryError: it is no model config.
    """
    message = _parse(text)
    _set_policy(message, pinned, ModelConfig.loaded_versions)
    return str(text_format.MessageToString(message))


def student_config(text: str) -> str:
    """The config of the view that serves the students of the model whose config this is (see `repository.cascade`).

    A student's runs are short. Spread over the cores, each would wait after every operator for threads on cores that
    compute the model meanwhile. So a run takes one thread. NVIDIA's backend does not know that setting.

    Raises:
        RepositoryError: it is no model config.
    """
    message = _parse(text)
    message.name = student_model(message.name)
    message.default_model_filename = STUDENT_FILE
    message.parameters[ONE_THREAD].string_value = "1"
    return str(text_format.MessageToString(message))


def with_changes(text: str, changes: Mapping[str, int]) -> str:
    """The same config with other values of these fields of `ModelConfig`; what else is in it stays.

    Args:
        text: a `config.pbtxt`.
        changes: `max_batch_size`, `instance_count`, `threads` or `queue_delay_us`, and the value of each.

    Raises:
        RepositoryError: it is no config of an exported classifier, or a value is out of range.
    """
    message = _parse(text)
    if (size := changes.get("max_batch_size")) is not None:
        message.max_batch_size = size
        for warmup in message.model_warmup:
            warmup.batch_size = min(warmup.batch_size, size)
    if (count := changes.get("instance_count")) is not None:
        del message.instance_group[1:]
        message.instance_group[0].count = count
    if (delay := changes.get("queue_delay_us")) is not None:
        message.dynamic_batching.max_queue_delay_microseconds = delay
    if (threads := changes.get("threads")) is not None:
        _set_threads(message, threads)
    changed = str(text_format.MessageToString(message))
    parse_config(changed)
    return changed


def with_tensorrt(text: str, parameters: Mapping[str, str]) -> str:
    """The same config, but GPUs run the model through TensorRT, in float16, with these parameters beside.

    Args:
        text: a `config.pbtxt`.
        parameters: by the names of Triton's ONNX Runtime backend, such as `repository.tensorrt.Profile.parameters`.

    Raises:
        RepositoryError: it is no config of an exported classifier.
    """
    message = _parse(text)
    accelerators = message.optimization.execution_accelerators.gpu_execution_accelerator
    given = next((each for each in accelerators if each.name == TENSORRT), None) or accelerators.add(name=TENSORRT)
    given.parameters.update({**TENSORRT_PARAMETERS, **given.parameters, **parameters})
    changed = str(text_format.MessageToString(message))
    parse_config(changed)
    return changed


def pinned_version(text: str) -> int | None:
    """The version that a config pins, if it does. Raises RepositoryError: it is no model config."""
    versions = list(_parse(text).version_policy.specific.versions)
    return int(versions[0]) if len(versions) == 1 else None


def parse_config(text: str) -> ModelConfig:
    """Read a `config.pbtxt` back.

    Raises:
        RepositoryError: it is no model config, or its inputs and outputs are not those of an exported classifier.
    """
    message = _parse(text)
    tensors = [(t.name, t.data_type, list(t.dims)) for t in (*message.input, *message.output)]
    expected = [(name, model_config_pb2.TYPE_INT64, [-1]) for name in INPUTS]
    expected.append((OUTPUT, model_config_pb2.TYPE_FP32, [-1]))
    if tensors != expected or message.backend != "onnxruntime":
        raise RepositoryError(f"{CONFIG_FILE} must have inputs {INPUTS} and output {OUTPUT!r}, each with dims [ -1 ]")
    try:
        return ModelConfig(
            name=message.name,
            max_batch_size=message.max_batch_size,
            loaded_versions=message.version_policy.latest.num_versions or ModelConfig.loaded_versions,
            instance_count=sum(group.count for group in message.instance_group),
            pinned=pinned_version(text),
            queue_delay_us=message.dynamic_batching.max_queue_delay_microseconds,
            threads=int(message.parameters[THREADS].string_value or 0) if THREADS in message.parameters else 0,
            tensorrt=any(
                accelerator.name == TENSORRT
                for accelerator in message.optimization.execution_accelerators.gpu_execution_accelerator
            ),
        )
    except ValueError as error:
        raise RepositoryError(f"{CONFIG_FILE}: {error}") from None


def _parse(text: str) -> model_config_pb2.ModelConfig:
    message = model_config_pb2.ModelConfig()
    try:
        text_format.Parse(text, message)
    except text_format.ParseError as error:
        raise RepositoryError(f"{CONFIG_FILE} cannot be parsed: {error}") from None
    return message


def _set_policy(message: model_config_pb2.ModelConfig, pinned: int | None, loaded_versions: int) -> None:
    # `latest` and `specific` are a oneof: setting one clears the other.
    if pinned is None:
        message.version_policy.latest.num_versions = loaded_versions
    else:
        message.version_policy.specific.versions[:] = [pinned]


def _set_threads(message: model_config_pb2.ModelConfig, threads: int) -> None:
    if threads:
        message.parameters[THREADS].string_value = str(threads)
    elif THREADS in message.parameters:
        del message.parameters[THREADS]
