"""What a published version answers: its own tokenizer and graph, by ONNX Runtime on this machine, without PyTorch."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from pretrained.batches import batches_by_length
from repository.history import VersionHistory
from repository.inference import Float32Array, load_tokenizer, mask_of, pad_batch
from repository.inference import scores as scores_of
from repository.manifest import MODEL_FILE, OUTPUT, Manifest, ProblemType, RepositoryError
from repository.places import open_history
from repository.s3_store import S3Store
from repository.settings import RepositorySettings, setting_mistakes
from repository.store import ModelStore
from training.data.examples import DataError, Example, Target
from training.data.split_record import SplitRecord
from training.figures.scores import answers_of


class ServedError(Exception):
    """There is no version to ask, or it cannot be asked here; the message is one sentence."""


@dataclass(frozen=True)
class ServedVersion:
    """A version folder on this machine."""

    name: str
    """For people: `version 3 of classifier`, or the folder."""
    number: int | None
    """None for a folder that is in no repository."""
    folder: Path
    manifest: Manifest
    split: SplitRecord | None
    """What it was trained on; None where nobody can say."""

    def was_trained_on(self, example: Example) -> bool:
        """Whether its split says that the example was trained, or the best epoch chosen, on."""
        return self.split is not None and self.split.split_of(example) in ("train", "validation")

    def ask(self, texts: Sequence[str]) -> "Asked":
        """Ask it.

        Raises:
            ServedError: ONNX Runtime is not installed or cannot run the graph.
        """
        return Asked(self.manifest, version_logits(self.folder, self.manifest, texts))


@dataclass(frozen=True)
class Asked:
    """What a version answered to some texts."""

    manifest: Manifest
    logits: Float32Array
    """`[texts, labels]`, labels in the manifest's order."""

    @property
    def scores(self) -> Float32Array:
        """`[texts, labels]`, as the gateway gives them: softmax, sigmoid, or the numbers themselves."""
        return scores_of(self.logits, self.manifest.problem_type)

    @property
    def answers(self) -> list[Target]:
        """The answer to each text, with the version's own names of labels."""
        return answers_of(self.logits, self.manifest.labels, self.manifest.problem_type)

    def scores_by(self, labels: Sequence[str]) -> Float32Array:
        """Scores `[texts, len(labels)]` in the order of other labels, matched by name; 0 of one that it lacks."""
        if self.manifest.problem_type is ProblemType.REGRESSION:
            return self.scores
        wide = np.zeros((len(self.logits), len(labels)), dtype=np.float32)
        for place, label in enumerate(labels):
            if label in self.manifest.labels:
                wide[:, place] = self.scores[:, self.manifest.labels.index(label)]
        return wide


@contextmanager
def served_version(given: str | None = None) -> Iterator[ServedVersion]:
    """Yield a published version; one in S3 is copied into a folder that is gone afterwards.

    Args:
        given: a version folder, or a number in the model repository that the environment names; None: the one that is
            served from there, which is the pinned one or else the newest whose manifest can be read.

    Raises:
        ServedError: there is no such version.
    """
    with ExitStack() as stack:
        try:
            version = _find(given, stack)
        except ValidationError as error:
            raise ServedError(f"{setting_mistakes(error)[0]}.") from None
        except (RepositoryError, DataError) as error:
            raise ServedError(f"{str(error).rstrip('.')}.") from None
        yield version


def version_logits(
    folder: Path,
    manifest: Manifest,
    texts: Sequence[str],
    start_session: Callable[[Path], Any] | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> Float32Array:
    """Return the logits `[texts, labels]` of the version in `folder`, asked in batches of neighbours in length.

    Args:
        folder: holds the graph and the tokenizer.
        manifest: its own.
        texts: in any order. One that gives no token is asked as a padding token; the gateway refuses it.
        start_session: opens the graph; None: on the CPU.
        advance: is told of every batch's size.

    Raises:
        ServedError: ONNX Runtime is not installed or cannot run the graph, or a logit is no number.
        RepositoryError: the tokenizer is none.
    """
    tokenizer = load_tokenizer(folder, manifest.max_length)
    encodings = tokenizer.encode_batch(list(texts))
    ids = [encoding.ids or [manifest.pad_token_id] for encoding in encodings]
    masks = [mask_of(encoding, manifest.token_types) for encoding in encodings]
    logits = np.empty((len(ids), len(manifest.labels)), dtype=np.float32)
    try:
        session = (start_session or _on_the_cpu)(folder / MODEL_FILE)
        for batch in batches_by_length(list(map(len, ids))):
            rows, kept = [ids[place] for place in batch], [masks[place] for place in batch]
            logits[batch] = session.run([OUTPUT], pad_batch(rows, manifest.pad_token_id, masks=kept))[0]
            advance(len(batch))
    except ImportError:
        raise ServedError("ONNX Runtime is not installed: run `pip install onnxruntime`.") from None
    except Exception as error:  # onnxruntime's exceptions have no common base but this
        reason = " ".join(str(error).split())[:300]
        raise ServedError(f"ONNX Runtime cannot run the graph in {folder}: {reason}") from None
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise ServedError(f"{folder} gives logits that are no numbers for {bad} of {len(ids)} sentences")
    return logits


def _on_the_cpu(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _find(given: str | None, stack: ExitStack) -> ServedVersion:
    if given is not None and not (given.isascii() and given.isdecimal()):
        return _of_folder(Path(given), given, None)
    history = open_history(RepositorySettings())
    number = served_number(history) if given is None else int(given)
    name = f"version {number} of {history.model_name}"
    if isinstance(history, ModelStore):
        return _of_folder(history.folder / str(number), name, number)
    assert isinstance(history, S3Store)
    copy = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="served-")))
    history.fetch(number, copy)
    return _of_folder(copy, name, number)


def _of_folder(folder: Path, name: str, number: int | None) -> ServedVersion:
    return ServedVersion(name, number, folder, Manifest.read(folder), SplitRecord.read(folder))


def served_number(history: VersionHistory) -> int:
    """Return the number of the version that answers: the pinned one, else the newest that can be read.

    A candidate, which is on trial beside it, does not answer.

    Raises:
        ServedError: none can be read.
    """
    if (pinned := _pinned(history)) is not None:
        return pinned
    return _newest_of(history, history.answering())


def newest_number(history: VersionHistory) -> int:
    """Return the number of the newest version that can be read, which may be a candidate.

    Raises:
        ServedError: none can be read.
    """
    return _newest_of(history, history.numbers())


def _newest_of(history: VersionHistory, numbers: Sequence[int]) -> int:
    for number in reversed(numbers):
        if history.version(number).manifest is not None:
            return number
    raise ServedError(f"{history.place} holds no version that can be read.")


def _pinned(history: VersionHistory) -> int | None:
    try:
        from repository.config import pinned_version
    except ImportError:  # Triton's client, which reads config.pbtxt, is no part of a machine that only trains
        return None
    try:
        return pinned_version(history.config())
    except RepositoryError:
        return None
