"""What an ONNX Runtime session for Triton looks like: threads, graph level, providers, and does it fit config.pbtxt.

Reads the same keys of `config.pbtxt` as NVIDIA's native backend; `config` is Triton's JSON form of it throughout.
"""

import os
from pathlib import Path

import triton_python_backend_utils as pb_utils

CPU = ["CPUExecutionProvider"]

# https://github.com/triton-inference-server/onnxruntime_backend: `optimization.graph.level` of the native backend.
# 0 and everything else mean all optimizations.
_GRAPH_LEVELS = {-1: "ORT_ENABLE_BASIC", 1: "ORT_ENABLE_EXTENDED", 2: "ORT_DISABLE_ALL"}

_TRITON_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(double)": "TYPE_FP64",
    "tensor(float)": "TYPE_FP32",
    "tensor(float16)": "TYPE_FP16",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(string)": "TYPE_STRING",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
}


def open_session(path, config, providers, threads=None):
    """Opens the graph at `path`, for `threads` threads a run (as the config says if not given).

    Providers that this build of ONNX Runtime lacks are left out, not an error.
    """
    import onnxruntime  # late, so that completing a config that is whole already stays cheap

    if providers != CPU and hasattr(onnxruntime, "preload_dlls"):
        onnxruntime.preload_dlls()  # CUDA and cuDNN from the environment's own packages
    available = onnxruntime.get_available_providers()
    usable = [p for p in providers if (p if isinstance(p, str) else p[0]) in available]
    return onnxruntime.InferenceSession(str(path), options_of(onnxruntime, config, threads), providers=usable)


def options_of(onnxruntime, config, threads=None):
    """Session options from the parameters and optimization level that the native backend reads."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: a failing request is answered to its caller, not logged as a warning
    level = int(config.get("optimization", {}).get("graph", {}).get("level", 0))
    options.graph_optimization_level = getattr(
        onnxruntime.GraphOptimizationLevel, _GRAPH_LEVELS.get(level, "ORT_ENABLE_ALL")
    )
    given = threads or _parameter(config, "intra_op_thread_count", 0)
    options.intra_op_num_threads = given or threads_to_share(config)
    options.inter_op_num_threads = _parameter(config, "inter_op_thread_count", 0)
    if _parameter(config, "execution_mode", 0) == 1:
        options.execution_mode = onnxruntime.ExecutionMode.ORT_PARALLEL
    # Else the threads of a run that is over look for the next one for some 30 ms, on cores that the gateway and Triton
    # need meanwhile. During a run they go on to look, which is what makes its many small steps quick.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.enable_cpu_mem_arena = bool(_parameter(config, "enable_mem_arena", 1))
    options.enable_mem_pattern = bool(_parameter(config, "enable_mem_pattern", 1))
    return options


def gpu_providers(config, device_id):
    """CUDA, behind TensorRT when the config asks for it, with the options given in the config; the CPU last."""
    accelerators = config.get("optimization", {}).get("execution_accelerators", {}).get("gpu_execution_accelerator", [])
    given = {a["name"].lower(): dict(a.get("parameters", {})) for a in accelerators}
    unknown = sorted(set(given) - {"cuda", "tensorrt"})
    if unknown:
        raise pb_utils.TritonModelException(f"unknown gpu_execution_accelerator {unknown[0]!r}: use cuda or tensorrt")
    providers = [("CUDAExecutionProvider", {**given.get("cuda", {}), "device_id": device_id}), *CPU]
    if "tensorrt" in given:
        options = {**_tensorrt_options(given["tensorrt"]), "device_id": device_id}
        providers.insert(0, ("TensorrtExecutionProvider", options))
    return providers


def require_cuda(session, model_name):
    """A model that asks for the GPU must not run quietly on the CPU."""
    used = session.get_providers()
    if "CUDAExecutionProvider" not in used:
        raise pb_utils.TritonModelException(
            f"model {model_name} asks for the GPU (instance_group KIND_GPU), but ONNX Runtime uses {', '.join(used)}: "
            "install with TRITON_GPU=on on a machine with an NVIDIA driver, or set KIND_CPU"
        )


def check_fit(config, session):
    """Refuses a version whose graph does not fit config.pbtxt, with both sides in the message."""
    batch_axes = 1 if config["max_batch_size"] > 0 else 0
    for kind, values in (("input", session.get_inputs()), ("output", session.get_outputs())):
        graph = {value.name: value for value in values}
        listed = {entry["name"]: entry for entry in config[kind]}
        for name, entry in listed.items():
            if name not in graph:
                _refuse(f"config.pbtxt lists {kind} {name}, the graph has {', '.join(sorted(graph))}")
            found = describe(graph[name], batch_axes)
            if found["data_type"] != entry["data_type"]:
                _refuse(f"config.pbtxt gives {kind} {name} as {entry['data_type']}, the graph as {found['data_type']}")
            if graph[name].shape and len(found["dims"]) != len(entry["dims"]):
                _refuse(f"config.pbtxt gives {kind} {name} {len(entry['dims'])} dims, the graph {len(found['dims'])}")
        missing = sorted(set(graph) - set(listed))
        if kind == "input" and missing:
            _refuse(f"the graph wants input {missing[0]}, which config.pbtxt does not list")


def describe(value, first_axis):
    """A graph's input or output as config.pbtxt writes it, without the batch axis when `first_axis` is 1."""
    dims = [axis if isinstance(axis, int) else -1 for axis in value.shape[first_axis:]]
    return {"name": value.name, "data_type": _TRITON_TYPES.get(value.type, value.type), "dims": dims}


def physical_cores():
    """Cores this process may use: two hyper-threads of a core count once, and a container's CPU quota is kept."""
    cores = set()
    for cpu in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.is_file() else str(cpu))
    quota = Path("/sys/fs/cgroup/cpu.max")
    limit, period = quota.read_text().split() if quota.is_file() else ("max", "1")
    allowed = len(cores) if limit == "max" else -(-int(limit) // int(period))
    return max(1, min(len(cores), allowed))


def threads_to_share(config):
    """Cores of one model instance, or 1 where the config fixes the threads of a run: then runs come one at a time."""
    if _parameter(config, "intra_op_thread_count", 0):
        return 1
    return max(1, physical_cores() // _instances(config))


def wants_one_thread_a_run(config):
    """Whether no run is to take more than one core, however many are idle (see `repository.config.student_config`)."""
    return bool(_parameter(config, "one_thread_a_run", 0))


def _parameter(config, name, default):
    value = config.get("parameters", {}).get(name, {}).get("string_value", "")
    try:
        return int(value) if value != "" else default
    except ValueError:
        _refuse(f"parameter {name} must be a whole number, not {value!r}")


def _instances(config):
    """How many copies of the model share the processor."""
    return max(1, sum(int(group.get("count", 1)) for group in config.get("instance_group", [])))


def _tensorrt_options(parameters):
    """Translates the native backend's names into ONNX Runtime's (table in its README)."""
    options = {name: value for name, value in parameters.items() if name.startswith("trt_")}
    precision = parameters.get("precision_mode", "FP32").upper()
    if precision in ("FP16", "INT8"):
        options[f"trt_{precision.lower()}_enable"] = "1"
    if "max_workspace_size_bytes" in parameters:
        options["trt_max_workspace_size"] = parameters["max_workspace_size_bytes"]
    for name in ("int8_calibration_table_name", "int8_use_native_calibration_table"):
        if name in parameters:
            options[f"trt_{name}"] = parameters[name]
    return options


def _refuse(reason):
    raise pb_utils.TritonModelException(reason)
