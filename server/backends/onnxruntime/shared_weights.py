"""Opens a graph for several uses of the cores and holds its weights once: all sessions map one file.

ONNX Runtime maps weights that lie in a file of their own, and sessions that map the same file share its pages. But it
packs the weights of large products into an order of its own when it opens a graph, and each session keeps that copy for
itself. So the graph is opened once and written out with its packed weights (`session.save_external_prepacked_constant_
initializers`, in ONNX Runtime since 1.21), and then opened from there. The order depends on the processor: the file is
of use to this machine alone, and is deleted as soon as it is mapped.
"""

import contextlib
import ctypes
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import ort_session

_PREFIX = "triton-weights-"
_GRAPH = "model.onnx"
_WEIGHTS = "model.onnx.data"

# Smaller ones stay in the graph: constants that optimizations look at, and nothing to save.
_SMALLEST_BYTES = 1024

# Room asked for, in sizes of the graph: plain and packed weights took 1.3 (int8) and 1.5 (fp32) when it was measured.
_ROOM = 3


def open_sessions(path, config, thread_counts, warn):
    """Opens the graph at `path` on the CPU, once for each of the thread counts (None: as the config says).

    Where the file cannot be written, `warn` is told, and each session holds weights of its own.
    """
    try:
        with _folder(_ROOM * _size_bytes(path)) as folder:
            _write(path, config, folder)
            return [_open(folder, config, threads) for threads in thread_counts]
    except Exception as error:
        reason = error
    # A graph that cannot be opened at all ends here, with the words of ONNX Runtime on the file that was published.
    sessions = [ort_session.open_session(path, config, ort_session.CPU, threads) for threads in thread_counts]
    warn(f"{config['name']}: its weights are held {len(sessions)} times in memory, not once: {reason}")
    return sessions


def _write(path, config, folder):
    """Writes the optimized graph and its packed weights."""
    import onnxruntime  # late, as in ort_session

    options = ort_session.options_of(onnxruntime, config, threads=1)
    options.optimized_model_filepath = str(folder / _GRAPH)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", _WEIGHTS)
    options.add_session_config_entry(
        "session.optimized_model_external_initializers_min_size_in_bytes", str(_SMALLEST_BYTES)
    )
    options.add_session_config_entry("session.save_external_prepacked_constant_initializers", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=ort_session.CPU)
    del session
    _give_back()


def _open(folder, config, threads):
    import onnxruntime

    options = ort_session.options_of(onnxruntime, config, threads)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # they are in it
    return onnxruntime.InferenceSession(str(folder / _GRAPH), options, providers=ort_session.CPU)


def _give_back():
    """Frees what the writing session took: glibc would keep a whole graph's worth of it in this process."""
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _size_bytes(path):
    beside = path.with_name(f"{path.name}.data")
    return path.stat().st_size + (beside.stat().st_size if beside.is_file() else 0)


@contextlib.contextmanager
def _folder(room_bytes):
    """A folder for the file while it is written and mapped; locked, so that one of a killed process can be told."""
    place = Path(tempfile.gettempdir())
    _remove_abandoned(place)
    if shutil.disk_usage(place).free < room_bytes:
        raise OSError(f"{place} has no {room_bytes / 1e6:.0f} MB free")
    unlocked = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}", dir=place))  # no name that another process looks for
    folder = place / unlocked.name[1:]
    try:
        with _locked(unlocked):
            unlocked.rename(folder)
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(place):
    for folder in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _locked(folder):  # in use, or another user's
            shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(folder):
    """Holds the folder; the kernel lets go of it when the process ends. Raises OSError if somebody holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
