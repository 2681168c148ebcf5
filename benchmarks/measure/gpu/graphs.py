"""The graphs that are measured: one checkpoint, traced once, in every layout and number format of the plan."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnxruntime

from benchmarks.measure.gpu.plan import Case, Graph, Runs
from export.checkpoint.load import Checkpoint
from export.graph.build import export_graph, optimize_graph
from export.graph.session import CUDA
from export.precision.formats import Calibration, write_precision
from export.precision.ranges import Feed, calibration_feeds
from repository.cards import Card
from repository.manifest import Precision
from repository.tensorrt import profile_of

TENSORRT = "TensorrtExecutionProvider"
CPU = "CPUExecutionProvider"

Report = Callable[[str], None]


def write_graphs(
    checkpoint: Checkpoint, cases: Sequence[Case], ids: Sequence[Sequence[int]], folder: Path, report: Report
) -> dict[Graph, Path]:
    """Write each graph of the cases; a case whose graph cannot be made is told why in its note.

    Args:
        checkpoint: loaded; its PyTorch model is traced once.
        cases: of the plan.
        ids: token ids of real sentences, which tell what float16 can hold.
        folder: for the graphs, and for their weights meanwhile.
        report: told what is being done.

    Returns:
        Where each graph lies, by the graph.
    """
    report("tracing the graph")
    raw = export_graph(checkpoint, folder)
    vocabulary = checkpoint.model.config.vocab_size
    feeds = calibration_feeds(list(ids), checkpoint.pad_token_id, checkpoint.max_length, vocabulary)
    written: dict[str, Path] = {}
    found: dict[Graph, Path] = {}
    for graph in dict.fromkeys(case.graph for case in cases):
        if graph.file not in written:
            report(f"graph: {graph.precision.value}, {graph.layout.value}")
            path = folder / graph.file / "model.onnx"
            try:
                _write(checkpoint, graph, raw, path, feeds)
            except Exception as error:  # the converters raise whatever they raise; the other graphs are measured
                _note(cases, graph, f"not made: {' '.join(str(error).split())[:100]}")
                continue
            written[graph.file] = path
        found[graph] = written[graph.file]
    return found


def _write(checkpoint: Checkpoint, graph: Graph, raw: Path, path: Path, feeds: Sequence[Feed]) -> None:
    path.parent.mkdir()
    optimized = optimize_graph(raw, checkpoint.model.config, graph.layout)
    measured = feeds if graph.precision is Precision.FP16 else []
    calibration = Calibration([], measured, checkpoint.pad_token_id)
    write_precision(optimized, graph.precision, path, raw.parent, calibration, _silent)


@contextlib.contextmanager
def _silent(_step: str, _total: int) -> Iterator[Callable[[int], None]]:
    yield lambda _: None


def open_sessions(
    paths: Mapping[Graph, Path],
    cases: Sequence[Case],
    lengths: Sequence[int],
    card: Card,
    report: Report,
) -> dict[Graph, Any]:
    """A session for each graph, on what is to run it; one that does not start is told in the notes of its cases.

    TensorRT builds its engine here, for the lengths of these sentences; that may take a minute or two.
    """
    sessions = {}
    for graph, path in paths.items():
        report(f"loading: {graph}")
        try:
            sessions[graph] = _open(graph, path, lengths, card)
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            _note(cases, graph, f"not loaded: {' '.join(str(error).split())[:100]}")
    return sessions


def _open(graph: Graph, path: Path, lengths: Sequence[int], card: Card) -> Any:
    providers: list[Any] = [CPU]
    if graph.runs is not Runs.CPU:
        providers.insert(0, CUDA)
    if graph.runs is Runs.TENSORRT:
        # The longest that is asked here, not the model's limit: memory for the largest shape is taken at once.
        profile = profile_of(lengths, card.batch_sentences, max(lengths), card.batch_tokens)
        providers.insert(0, (TENSORRT, {"trt_fp16_enable": "1", **profile.parameters}))
    session = onnxruntime.InferenceSession(str(path), providers=providers)
    wanted = {Runs.CPU: CPU, Runs.CUDA: CUDA, Runs.TENSORRT: TENSORRT}[graph.runs]
    if wanted not in session.get_providers():
        raise RuntimeError(f"ONNX Runtime has no {wanted} here")
    return session


def _note(cases: Sequence[Case], graph: Graph, reason: str) -> None:
    for case in cases:
        if case.graph == graph or (case.graph.file == graph.file and reason.startswith("not made")):
            case.note = reason
