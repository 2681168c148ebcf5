"""ONNX Runtime as a Python-based Triton backend: what answers `backend: "onnxruntime"` where NVIDIA's own is missing.

Triton lets a Python-based backend carry any name, so the `config.pbtxt` and `model.onnx` written for the native
backend run here unchanged. This file runs inside Triton's Python stub, in the embedded environment, and imports
nothing of this project.
"""

import ctypes
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import golden_answers
import numpy as np
import ort_session
import shared_weights
import triton_python_backend_utils as pb_utils
import version_files

# The native backend gives a model that accepts batches this max_batch_size when its config names none.
_DEFAULT_MAX_BATCH_SIZE = 4

# A caller with several batches sends them one right after the other; this is how long the first waits for the next.
_COMPANY_S = 0.001

# Triton hands waiting requests over some 0.1 ms after a run; a caller who waited for the answer comes back later.
_IDLE_S = 0.0005

_USED_CAPSULE = b"used_dltensor"  # DLPack's name for a capsule that was taken; a capsule keeps the pointer, not a copy
_rename_capsule = ctypes.pythonapi.PyCapsule_SetName
_rename_capsule.argtypes = [ctypes.py_object, ctypes.c_char_p]


class TritonPythonModel:
    """One instance of one version of a model: an ONNX Runtime session and the names around it."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config):
        """Fills in inputs, outputs and batching from the graph, as the native backend does for a config without."""
        config = auto_complete_model_config.as_dict()
        if config.get("input") and config.get("output"):
            return auto_complete_model_config  # the usual case: no ONNX Runtime import, no second load
        session = ort_session.open_session(_path_from_command_line(), config, ort_session.CPU)
        declared = [*session.get_inputs(), *session.get_outputs()]
        batched = all(value.shape and not isinstance(value.shape[0], int) for value in declared)
        if batched and not config["max_batch_size"]:
            auto_complete_model_config.set_max_batch_size(_DEFAULT_MAX_BATCH_SIZE)
            auto_complete_model_config.set_dynamic_batching()
        first_axis = 1 if batched else 0
        if not config.get("input"):
            for value in session.get_inputs():
                auto_complete_model_config.add_input(ort_session.describe(value, first_axis))
        if not config.get("output"):
            for value in session.get_outputs():
                auto_complete_model_config.add_output(ort_session.describe(value, first_axis))
        return auto_complete_model_config

    def initialize(self, args):
        """Loads the graph of the version that `args` names; raises what Triton shows as the reason of a failed load."""
        config = json.loads(args["model_config"])
        filename = config.get("default_model_filename") or "model.onnx"
        path = Path(args["model_repository"], args["model_version"], filename)
        if not path.is_file():
            raise pb_utils.TritonModelException(f"{filename} is missing in version {args['model_version']}")
        stamps = version_files.stamps(path)
        on_gpu = args["model_instance_kind"] == "GPU"
        cores = 1 if on_gpu else ort_session.threads_to_share(config)
        one_thread = None
        if on_gpu:
            providers = ort_session.gpu_providers(config, args["model_instance_device_id"])
            self.session = ort_session.open_session(path, config, providers)
            ort_session.require_cuda(self.session, config["name"])
        elif cores > 1 and ort_session.wants_one_thread_a_run(config):
            self.session = one_thread = ort_session.open_session(path, config, ort_session.CPU, 1)
        elif cores > 1:
            self.session, one_thread = shared_weights.open_sessions(path, config, (None, 1), pb_utils.Logger.log_warn)
        else:
            self.session = ort_session.open_session(path, config, ort_session.CPU)
        ort_session.check_fit(config, self.session)
        self.batches = config["max_batch_size"] > 0
        self.output_names = [output["name"] for output in config["output"]]
        self.fault = version_files.find_fault(path, stamps) or golden_answers.find_fault(path, self.session)
        if self.fault is not None:
            # Not raised: Triton takes a model's versions in together when it starts, and one that fails to load would
            # keep the good version before it from being served. So this one loads, and refuses every request.
            self.fault = f"version {args['model_version']} is not used: {self.fault}"
            pb_utils.Logger.log_error(f"{config['name']}: {self.fault}")
        self.side_by_side = None if one_thread is None else _SideBySide(cores, self.session, one_thread)

    def execute(self, requests):
        """Answers the requests that Triton's dynamic batcher joined, in their order, with one run where they fit.

        While others are being computed on a CPU, the work is handed to a thread and None is returned: the responses
        are sent from there, and Triton goes on to the next requests at once.
        """
        if self.fault is not None and not all(_is_warm_up(request) for request in requests):
            return [_refusal(RuntimeError(self.fault)) for _ in requests]
        if self.side_by_side is None:
            return self._responses(requests, self.session)
        lone = len(requests) == 1 and self._rows(requests[0]) == 1
        if lone and self.side_by_side.idle():
            responses = self._responses(requests, self.session)
            self.side_by_side.note_end()
            return responses
        self.side_by_side.submit(self._answer, requests, lone)
        return None

    def finalize(self):
        """Ends what is running, then frees the sessions, when the version is unloaded."""
        if self.side_by_side is not None:
            self.side_by_side.close()
        self.session = self.side_by_side = None

    def _rows(self, request):
        return request.inputs()[0].shape()[0] if self.batches else 1

    def _answer(self, requests, session):
        senders = [request.get_response_sender() for request in requests]
        try:
            responses = self._responses(requests, session)
        except Exception as error:  # a request without a response would wait for ever
            responses = [_refusal(error) for _ in requests]
        for sender, response in zip(senders, responses, strict=True):
            sender.send(response, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def _responses(self, requests, session):
        requested = [{tensor.name(): tensor for tensor in request.inputs()} for request in requests]
        feeds = [None] * len(requests)
        responses = [None] * len(requests)
        for i, tensors in enumerate(requested):
            try:
                feeds[i] = {name: _to_array(tensor) for name, tensor in tensors.items()}
            except Exception as error:  # a tensor that cannot be read costs only its own request
                responses[i] = _refusal(error)
        readable = [i for i, feed in enumerate(feeds) if feed is not None]
        for i, outcome in zip(readable, self._run_joined(session, [feeds[i] for i in readable]), strict=True):
            responses[i] = self._respond(requests[i], outcome)
        return responses

    def _run_joined(self, session, feeds):
        """Returns outputs or an exception for each feed; a run that fails as a whole is repeated one by one."""
        if len(feeds) > 1 and self.batches and _can_join(feeds):
            joined = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
            try:
                outputs = session.run(self.output_names, joined)
                return self._split(outputs, [len(next(iter(feed.values()))) for feed in feeds])
            except Exception:  # one bad request must not cost its neighbours: find it by running each alone
                return [self._run_alone(session, feed) for feed in feeds]
        return [self._run_alone(session, feed) for feed in feeds]

    def _run_alone(self, session, feed):
        try:
            return session.run(self.output_names, feed)
        except Exception as error:
            return error

    @staticmethod
    def _split(outputs, counts):
        """Cuts joined outputs `[sum(counts), ...]` into one list of outputs for each request; slices, not copies."""
        if any(len(output) != sum(counts) for output in outputs):
            raise ValueError("an output's first axis is not the batch axis")
        ends = np.cumsum(counts)
        return [[output[end - n : end] for output in outputs] for end, n in zip(ends, counts, strict=True)]

    def _respond(self, request, outcome):
        if isinstance(outcome, Exception):
            return _refusal(outcome)
        wanted = request.requested_output_names()
        return pb_utils.InferenceResponse(
            [_to_tensor(n, array) for n, array in zip(self.output_names, outcome, strict=True) if n in wanted]
        )


class _SideBySide:
    """Runs as many batches at a time as there are cores, each on one thread of its own.

    Threads that share one batch wait for each other after every operator: when another program (the gateway, say)
    takes a core for a moment, the other core waits too. Batches on a thread of their own wait for nobody, and answer
    more sentences a second. But what is alone would take longer, so that it is run on all cores: a lone sentence on
    Triton's own thread, elsewhere, and a batch here when no other has come within a millisecond. Where the config wants
    one thread a run, both sessions are the same.
    """

    def __init__(self, cores, all_cores_session, one_thread_session):
        self._all_cores_session = all_cores_session
        self._one_thread_session = one_thread_session
        self._free = threading.Semaphore(cores)
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="batch")
        self._running = 0  # changed by Triton's thread and by the pool's
        self._changed = threading.Condition()
        self._last_end = 0.0

    def idle(self):
        """Whether nothing runs and nothing waited when the last run ended: Triton would have brought it at once."""
        with self._changed:
            return self._running == 0 and time.perf_counter() - self._last_end > _IDLE_S

    def note_end(self):
        """Remember that a run has ended now."""
        self._last_end = time.perf_counter()

    def submit(self, answer, requests, lone):
        """Call `answer(requests, session)` on a thread. Blocks while every core computes; `lone` if it is one row."""
        self._free.acquire()
        with self._changed:
            self._running += 1
            self._changed.notify_all()
        self._pool.submit(self._run, answer, requests, lone)

    def close(self):
        """Wait for what is running, then let the threads go."""
        self._pool.shutdown(wait=True)

    def _run(self, answer, requests, lone):
        try:
            answer(requests, self._session(lone))
        finally:
            with self._changed:
                self._running -= 1
                self.note_end()
            self._free.release()

    def _session(self, lone):
        if self._all_cores_session is self._one_thread_session:
            return self._one_thread_session
        with self._changed:
            alone = self._running == 1 and (
                lone or not self._changed.wait_for(lambda: self._running > 1, timeout=_COMPANY_S)
            )
        return self._all_cores_session if alone else self._one_thread_session


def _path_from_command_line():
    """The graph to complete a config from; Triton tells it to the stub (its first argument), not to this function."""
    return Path("/proc/self/cmdline").read_text().split("\0")[1]


def _to_array(tensor):
    """A view on the tensor's shared memory.

    `as_numpy()` reads wrong values under NumPy 2 (the stub was built against NumPy 1); DLPack is right under both.
    Strings have no DLPack form; their NumPy objects are built element by element and are right under both as well.
    """
    try:
        return np.from_dlpack(tensor)
    except Exception:
        array = tensor.as_numpy()
        if array.dtype != np.object_:
            raise
        return array


def _to_tensor(name, array):
    """The reverse: `Tensor(name, array)` comes back empty under NumPy 2, `from_dlpack` does not.

    The stub marks the capsule it took as "used_dlpack", where the protocol says "used_dltensor". NumPy's destructor
    then takes it for one that nobody used: NumPy 2 prints a ValueError for each output, NumPy 1 crashes the stub
    with it. So the mark is set right before the capsule dies.
    """
    if array.dtype.kind in "OSU":
        return pb_utils.Tensor(name, array.astype(np.object_))
    capsule = np.ascontiguousarray(array).__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    _rename_capsule(capsule, _USED_CAPSULE)
    return tensor


def _is_warm_up(request):
    """Triton's own request while it loads a version, all zeros; no caller's is: a sentence has a mask with ones."""
    return not any(_to_array(tensor).any() for tensor in request.inputs())


def _can_join(feeds):
    """True when all feeds carry the same inputs and differ in the batch axis alone."""
    first = {name: (array.dtype, array.shape[1:]) for name, array in feeds[0].items()}
    return all({n: (a.dtype, a.shape[1:]) for n, a in feed.items()} == first for feed in feeds[1:])


def _refusal(error):
    """An error response: the caller's mistake (bad ids, a missing input) is a 400, anything else a 500."""
    at_fault = type(error).__name__ in ("InvalidArgument", "ValueError")
    code = pb_utils.TritonError.INVALID_ARG if at_fault else pb_utils.TritonError.INTERNAL
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), code))
