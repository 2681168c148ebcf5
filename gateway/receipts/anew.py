"""Computes an answer anew: the version's own files, the gateway's own tokenizing, ONNX Runtime in this process."""

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from gateway.encoding import Text, encode_all
from gateway.errors import GatewayError
from gateway.loaded_version import LoadedVersion
from gateway.receipts.errors import CheckError, Outcome
from gateway.receipts.kernels import cpu_flags
from gateway.receipts.statement import Kernels, Statement, version_digest
from gateway.tokenization import Tokenizers
from repository.bucket import AwayError
from repository.cascade import STUDENT_FILE, STUDENT_GOLDEN_FILE
from repository.golden import GOLDEN_FILE, Golden
from repository.history import VersionHistory
from repository.inference import Float32Array, load_tokenizer, pad_batch
from repository.manifest import MODEL_FILE, OUTPUT, TOKENIZER_FILE, Manifest, RepositoryError
from repository.s3_store import S3Store
from repository.store import ModelStore

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
_ERRORS_ONLY = 3


class Found(NamedTuple):
    """The version of a receipt, as the repository has it."""

    store: VersionHistory
    """The versions of its model."""
    number: int
    manifest: Manifest
    note: str
    """Why it is another number than the receipt's; empty if it is that."""


class Computed(NamedTuple):
    """What came out for one text."""

    logits: Float32Array
    """`[labels]`; a student's are divided by its temperature."""
    tokens: int
    cut_tokens: int


@dataclass(frozen=True)
class Graph:
    """One graph of a version, open."""

    version: LoadedVersion
    session: Any
    golden: Golden | None
    temperature: float
    """What its logits are divided by; 1 for the model's own graph."""
    kernels: Kernels
    """What it is computed with here."""

    def logits(self, text: Text, truncate: bool) -> Computed:
        """Ask about one text, alone. Raises CheckError: it cannot be asked."""
        try:
            (tokens,) = encode_all(self.version, [text], truncate, None)
        except GatewayError as error:
            raise CheckError(Outcome.OTHER_INPUT, f"the text cannot be classified by this version: {error}") from None
        if not tokens.ids:
            raise CheckError(Outcome.OTHER_INPUT, "the text has no token that this version knows")
        inputs = pad_batch([tokens.ids], self.version.manifest.pad_token_id, len(tokens.ids), [tokens.mask])
        try:
            (logits,) = self.session.run([OUTPUT], inputs)
        except Exception as error:  # onnxruntime's exceptions have no common base but this
            reason = " ".join(str(error).split())[:200]
            raise CheckError(Outcome.OTHER_ANSWER, f"this text cannot be computed: {reason}") from None
        return Computed(logits[0] / self.temperature, len(tokens.ids), tokens.cut)


class Repository(contextlib.AbstractContextManager["Repository"]):
    """The versions by which receipts are checked; each graph is opened once. Use as a context manager."""

    def __init__(self, open_model: Callable[[str], VersionHistory]) -> None:
        """`open_model` gives the versions of the model of that name."""
        self._open_model = open_model
        self._stack = contextlib.ExitStack()
        self._found: dict[tuple[str, int, str], Found] = {}
        self._graphs: dict[tuple[str, int, str, bool], Graph] = {}

    def __exit__(self, *_: object) -> None:
        self._graphs.clear()
        self._stack.close()

    def find(self, statement: Statement) -> Found:
        """The version that answered, under its own number or, published once more, under another.

        Raises:
            CheckError: it is not there.
            RepositoryError: the repository cannot be asked.
        """
        wanted = (statement.model, statement.version, statement.version_digest)
        if wanted not in self._found:
            self._found[wanted] = self._look(*wanted)
        return self._found[wanted]

    def _look(self, model: str, number: int, digest: str) -> Found:
        store = self._open_model(model)
        numbers = store.numbers()
        there = number in numbers
        for candidate in sorted(numbers, key=lambda each: (each != number, -each)):
            manifest = store.version(candidate).manifest
            if manifest is not None and version_digest(manifest) == digest:
                why = "has other content now" if there else "is not there any more"
                note = "" if candidate == number else f"version {number} {why}; {candidate} has the same content"
                return Found(store, candidate, manifest, note)
        known = f"it holds {', '.join(map(str, numbers))}" if numbers else "it holds none"
        if there:
            reason = f"version {number} in {store.place} is not the one that answered: its manifest was changed"
        else:
            reason = f"version {number} is not in {store.place} ({known}): it was retracted or pruned"
        raise CheckError(Outcome.NO_VERSION, f"{reason}. Publish its folder again; any number will do")

    def graph(self, found: Found, by: str, on_gpu: bool) -> Graph:
        """The graph that answered, open.

        Raises:
            CheckError: the version has no such graph, or its files were changed.
            RepositoryError: it cannot be had, or opened.
        """
        wanted = (found.store.model_name, found.number, by, on_gpu)
        if wanted not in self._graphs:
            self._graphs[wanted] = self._open(found, by, on_gpu)
        return self._graphs[wanted]

    def _open(self, found: Found, by: str, on_gpu: bool) -> Graph:
        manifest = found.manifest
        graph_file, golden_file = (STUDENT_FILE, STUDENT_GOLDEN_FILE) if by == "student" else (MODEL_FILE, GOLDEN_FILE)
        if graph_file not in manifest.files or (by == "student" and manifest.cascade is None):
            raise CheckError(Outcome.OTHER_ANSWER, f"the {by} is said to have answered: the version has none")
        names = {graph_file, f"{graph_file}.data", golden_file, TOKENIZER_FILE} & set(manifest.files)
        folder = self._folder(found, names)
        tokenizers = Tokenizers(load_tokenizer(folder, manifest.max_length))
        golden = Golden.read(folder, golden_file) if golden_file in names else None
        temperature = manifest.cascade.temperature if by == "student" and manifest.cascade else 1.0
        session, kernels = _open_session(folder / graph_file, on_gpu)
        version = LoadedVersion(found.number, manifest, tokenizers, None, None, ())
        return Graph(version, session, golden, temperature, kernels)

    def _folder(self, found: Found, names: set[str]) -> Path:
        """A folder that has these files of the version, each of which is the one that its manifest describes."""
        try:
            if isinstance(found.store, S3Store):
                copy = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="verify-")))
                found.store.fetch(found.number, copy, names)
                return copy
            assert isinstance(found.store, ModelStore)
            folder = found.store.folder / str(found.number)
            found.manifest.verify_files(folder, names)
            return folder
        except AwayError:
            raise
        except RepositoryError as error:
            raise CheckError(Outcome.NO_VERSION, f"version {found.number} is damaged: {error}") from None


def _open_session(path: Path, on_gpu: bool) -> tuple[Any, Kernels]:
    """A session as the embedded Triton opens it (`server/backends/onnxruntime/ort_session.py`), on one thread.

    How many threads compute changes no bit. One that runs on a GPU is opened there only if this ONNX Runtime can. All
    optimizations are made, as by every config of this project's; another `optimization.graph.level` is not looked up.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.intra_op_num_threads = 1
    uses_gpu = on_gpu and CUDA in onnxruntime.get_available_providers()
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=[CUDA, CPU] if uses_gpu else [CPU])
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        reason = " ".join(str(error).split())[:200]
        raise RepositoryError(f"ONNX Runtime cannot open {path.name}: {reason}") from None
    provider = "cuda" if CUDA in session.get_providers() else "cpu"
    return session, Kernels(onnxruntime=onnxruntime.__version__, provider=provider, cpu=cpu_flags())
