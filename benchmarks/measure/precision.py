"""What the export gains: each precision beside the plain graph of the same checkpoint, in paired rounds."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import onnxruntime

from repository.inference import Int64Array, load_tokenizer, pad_batch
from repository.manifest import MODEL_FILE, OUTPUT, Manifest, Precision

PLAIN, FP16, TENSORRT = "plain", Precision.FP16.value, "fp16, TensorRT"
RESIDENT = "fp16, inputs on the card"
THROUGHPUT_BATCH = 32

Report = Callable[[str], None]
Inputs = dict[str, Int64Array]
Run = Callable[[Sequence[Inputs]], list[float]]


@dataclass
class Variant:
    """One way to export the checkpoint, with what was measured of it in each round."""

    name: str
    note: str = ""
    """Why there are no figures, where there are none."""
    size_bytes: int = 0
    agreement: float | None = None
    """Share of the test split with PyTorch's label."""
    accuracy: float | None = None
    macro_f1: float | None = None
    latencies_ms: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)

    @property
    def is_measured(self) -> bool:
        """Whether there are figures."""
        return not self.note

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)

    def speedups(self, plain: "Variant") -> tuple[list[float], list[float]]:
        """How many times as fast as the plain graph in the same round: latency at batch 1, throughput; sorted."""
        latency = (theirs / ours for theirs, ours in zip(plain.latencies_ms, self.latencies_ms, strict=True))
        throughput = (ours / theirs for theirs, ours in zip(plain.per_second, self.per_second, strict=True))
        return sorted(latency), sorted(throughput)


def compare_precisions(
    checkpoint: str, data: Path, sentences: Sequence[str], rounds: int, folder: Path, report: Report
) -> list[Variant]:
    """Export `checkpoint` in every way into `folder` and measure all of them; the plain graph comes first.

    Args:
        checkpoint: folder or hub id of a sequence classifier.
        data: what the exports are checked on, and int8 calibrated by.
        sentences: what is asked, alone and in batches of neighbours in length.
        rounds: each measures every variant, one right after the other.
        folder: empty folder for the graphs.
        report: told what is being done.
    """
    variants = [_plain(checkpoint, folder / PLAIN, report)]
    variants += [_exported(checkpoint, data, precision, folder, report) for precision in Precision]
    half = next(variant for variant in variants if variant.name == FP16)
    variants += [_resident(half), _tensorrt(half)]
    measured = [variant for variant in variants if variant.is_measured]
    version = next((folder / variant.name for variant in measured if variant.name in set(Precision)), None)
    if version is None:
        return variants
    runners = {variant.name: _runner(variant.name, folder) for variant in measured}
    alone, batches = inputs_of(version, sentences)
    for run in runners.values():
        run(batches[-1:] + alone[:8])  # the longest batch: memory is allocated before the clock runs
    for number in range(rounds):
        report(f"round {number + 1} of {rounds}")
        # Another one starts each round: what comes after a pause finds a cooler processor.
        turn = number % len(measured)
        for variant in measured[turn:] + measured[:turn]:
            run = runners[variant.name]
            variant.latencies_ms.append(1000 * statistics.median(run(alone)))
            variant.per_second.append(len(sentences) / sum(run(batches)))
    return variants


def _plain(checkpoint: str, folder: Path, report: Report) -> Variant:
    from benchmarks.measure.plain_export import export_plainly
    from export.checkpoint.load import load_checkpoint

    report("plain torch.onnx.export")
    folder.mkdir()
    loaded = load_checkpoint(checkpoint)
    try:
        export_plainly(loaded, folder / MODEL_FILE)
    except Exception as error:  # the tracer raises whatever the model's code raises
        return Variant(PLAIN, f"torch.onnx.export fails: {' '.join(str(error).split())[:80]}")
    return Variant(PLAIN, size_bytes=_graph_bytes(folder))


def _exported(checkpoint: str, data: Path, precision: Precision, folder: Path, report: Report) -> Variant:
    from export.precision.formats import cuda_serves

    if precision is Precision.FP16 and not cuda_serves():
        return Variant(precision.value, "not measured here: no CUDA")
    report(f"python -m export --precision {precision.value}")
    output = folder / precision.value
    options = ["--precision", precision.value, "--output", output, "--data", data]
    command = [sys.executable, "-m", "export", checkpoint, *map(str, options)]
    # A process of its own: what the export leaves in memory does not slow what is measured here.
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return Variant(precision.value, (done.stderr.strip().splitlines() or ["the export failed"])[-1])
    manifest = Manifest.read(output)
    measured = manifest.evaluation
    return Variant(
        precision.value,
        size_bytes=_graph_bytes(output),
        agreement=manifest.parity.label_agreement,
        accuracy=measured.accuracy if measured else None,
        macro_f1=measured.macro_f1 if measured else None,
    )


def _resident(half: Variant) -> Variant:
    """The fp16 graph on inputs that lie on the card already: what it lacks of fp16's time is the cost of copying."""
    return replace(half, name=RESIDENT, latencies_ms=[], per_second=[])


def _tensorrt(half: Variant) -> Variant:
    """The fp16 graph through TensorRT, where ONNX Runtime has it."""
    if "TensorrtExecutionProvider" not in onnxruntime.get_available_providers():
        return Variant(TENSORRT, "not measured here: no TensorRT")
    return replace(half, name=TENSORRT, latencies_ms=[], per_second=[])


def _runner(name: str, folder: Path) -> Run:
    session = open_graph(folder / (FP16 if name in (RESIDENT, TENSORRT) else name), name == TENSORRT)
    return partial(run_resident, session, "cuda") if name == RESIDENT else partial(run_each, session)


def _graph_bytes(folder: Path) -> int:
    """Size of the graph and of the data files beside it."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.name.startswith(MODEL_FILE))


def open_graph(folder: Path, tensorrt: bool = False) -> Any:
    """A session with ONNX Runtime's defaults, which optimize on load, a thread a core, and CUDA where it serves."""
    from export.precision.formats import cuda_serves

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    providers = ["CUDAExecutionProvider"] if cuda_serves() else []
    if tensorrt:
        providers.insert(0, "TensorrtExecutionProvider")
    return onnxruntime.InferenceSession(str(folder / MODEL_FILE), options, [*providers, "CPUExecutionProvider"])


def inputs_of(version: Path, sentences: Sequence[str]) -> tuple[list[Inputs], list[Inputs]]:
    """The sentences one by one, and in batches of neighbours in length, tokenized and padded as the gateway does."""
    manifest = Manifest.read(version)
    encodings = load_tokenizer(version, manifest.max_length).encode_batch(list(sentences))
    ids = [encoding.ids for encoding in encodings]
    by_length = sorted(ids, key=len)
    batches = [by_length[at : at + THROUGHPUT_BATCH] for at in range(0, len(by_length), THROUGHPUT_BATCH)]
    pad = manifest.pad_token_id
    return [pad_batch([row], pad) for row in ids], [pad_batch(batch, pad) for batch in batches]


def run_each(session: Any, inputs: Sequence[Inputs]) -> list[float]:
    """Seconds of each call."""
    found = []
    for feed in inputs:
        start = time.perf_counter()
        session.run([OUTPUT], feed)
        found.append(time.perf_counter() - start)
    return found


def run_resident(session: Any, device: str, inputs: Sequence[Inputs]) -> list[float]:
    """Seconds of each call with inputs and output on `device` (`cuda` or `cpu`); copying them is not counted."""
    found = []
    for feed in inputs:
        binding = session.io_binding()
        for name, array in feed.items():
            binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array, device, 0))
        binding.bind_output(OUTPUT, device)
        binding.synchronize_inputs()
        start = time.perf_counter()
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        found.append(time.perf_counter() - start)
    return found
