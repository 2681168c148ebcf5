"""Which checkpoint was a published version exported from? It is known by its weights, wherever it lies."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from pretrained.files import has_weights
from pretrained.weights import weights_digest
from repository.console import Console
from repository.history import VersionHistory
from repository.manifest import Manifest, RepositoryError
from repository.names import is_file_name
from repository.places import open_history
from repository.settings import RepositorySettings, setting_mistakes
from training.commands.output import check_output
from training.commands.train_options import NEWEST, SERVED
from training.encoders.base_model import BaseModel, read_base_model
from training.report.served import ServedError, newest_number, served_number
from training.tracking.log import LOCAL_STORE, URI, TrackingError, tracking_uri, without_password

CHECKPOINT = "CHECKPOINT"
"""Variable of the folder that the launcher trains into."""
_USUAL = "checkpoints/classifier"
# Those beside a checkpoint that are read, the newest first: a folder of downloads may hold any number.
_MOST_FOLDERS = 100
_DIGITS = 16


class VersionError(ValueError):
    """There is no such version, or its checkpoint is not to be found; the message is one sentence."""


@dataclass(frozen=True)
class PublishedVersion:
    """A version whose checkpoint is looked for."""

    name: str
    """For people: `version 3 of classifier`."""
    manifest: Manifest
    tags: list[str]
    """What MLflow may call it, `classifier/3`: a roll-back gives the same content another number."""


@dataclass(frozen=True)
class FoundCheckpoint:
    """The checkpoint that a version was exported from."""

    folder: Path
    place: str
    """Where it was found, for people."""


def base_of_version(wanted: str, output: Path) -> BaseModel:
    """Find the checkpoint of a version, say where it was, and read it as a base model.

    Its labels have the names that the version has for them.

    Args:
        wanted: a number, `newest` or `served`.
        output: folder that is going to be written.

    Raises:
        VersionError: there is no such version, or its checkpoint is nowhere.
        BaseModelError: it can't be trained.
        OutputError: the new checkpoint takes its place, and it can't be kept beside.
    """
    version = find_version(wanted)
    found = find_checkpoint(version, output)
    base = replace(read_base_model(str(found.folder)), version=version.name)
    labels = version.manifest.labels
    base.config.id2label = dict(enumerate(labels))
    base.config.label2id = {label: number for number, label in enumerate(labels)}
    base.config.problem_type = version.manifest.problem_type.value
    if kept := kept_start(base, output):
        check_output(kept)
    Console().print(f"Training further from {version.name}: its checkpoint is {found.place}.")
    return base


def kept_start(base: BaseModel, output: Path) -> Path | None:
    """Return where the checkpoint that a version was exported from is kept when a new one takes its place.

    It is that version's checkpoint still, if the new one is never published. None: it stays where it is.
    """
    if base.version is None or Path(base.name).resolve() != output.resolve():
        return None
    return output.with_name(f"{output.name}.before")


def find_version(wanted: str) -> PublishedVersion:
    """Find a version in MODEL_REPOSITORY/MODEL_NAME, in a folder or in S3.

    Args:
        wanted: a number, `newest` or `served`.

    Raises:
        VersionError: there is none, or it does not say which weights it was exported from.
    """
    try:
        history = open_history(RepositorySettings())
        number = _number(history, wanted)
        manifest = _manifest(history, number)
        numbers = _published_as(history, number, manifest)
    except ValidationError as error:
        raise VersionError(f"{setting_mistakes(error)[0]}.") from None
    except RepositoryError as error:
        raise VersionError(f"{str(error).rstrip('.')}.") from None
    name = f"version {number} of {history.model_name}"
    if manifest.weights is None:
        raise VersionError(
            f"{name} does not say which weights of {manifest.source} it was exported from, as older exports do not: "
            "name its checkpoint by --base-model FOLDER."
        )
    return PublishedVersion(name, manifest, [f"{history.model_name}/{each}" for each in numbers])


def _number(history: VersionHistory, wanted: str) -> int:
    if wanted not in (NEWEST, SERVED):
        return int(wanted)
    try:
        return (newest_number if wanted == NEWEST else served_number)(history)
    except ServedError as error:
        raise VersionError(f"{str(error).rstrip('.')}: the first is trained without --from-version.") from None


def _manifest(history: VersionHistory, number: int) -> Manifest:
    if number not in (numbers := history.numbers()):
        known = f"versions {', '.join(map(str, numbers))}" if numbers else "no version"
        raise VersionError(f"there is no version {number} of {history.model_name}: {history.place} holds {known}.")
    version = history.version(number)
    if version.manifest is None:
        raise VersionError(f"{version.problem}.")
    return version.manifest


def _published_as(history: VersionHistory, number: int, manifest: Manifest) -> list[int]:
    """Its number, and that of the version whose content it is, and so on to the first, of which MLflow was told."""
    numbers, there = [number], history.numbers()
    while (before := manifest.republished_from) is not None and before not in numbers:
        numbers.append(before)
        older = history.version(before).manifest if before in there else None
        if older is None:
            break
        manifest = older
    return numbers


def find_checkpoint(version: PublishedVersion, output: Path) -> FoundCheckpoint:
    """Find the checkpoint that a version was exported from: that with the same weights.

    Looked at are the folder CHECKPOINT, the output, what lies beside them, and the runs of MLflow.

    Args:
        version: says its weights.
        output: folder that is going to be written.

    Raises:
        VersionError: it is nowhere, or a LoRA adapter.
    """
    manifest, looked = version.manifest, list[str]()
    weights = str(manifest.weights)
    with Console(stderr=True).doing(f"Looking for the checkpoint of {version.name}…"):
        found = _in_folders(weights, output, looked) or _in_mlflow(version, looked)
    if found is None:
        raise VersionError(
            f"the checkpoint of {version.name} is not to be found: it was called {manifest.source}, its weights have "
            f"the digest {weights[:_DIGITS]}…; looked at {', '.join(looked)}; --base-model FOLDER names it."
        )
    if not has_weights(found.folder):  # those of a whole model
        raise VersionError(
            f"{version.name} was exported from a LoRA adapter ({found.place}), which is not trained further here: "
            "merge it into its base, and name that by --base-model FOLDER."
        )
    return found


def _in_folders(weights: str, output: Path, looked: list[str]) -> FoundCheckpoint | None:
    """`looked` takes the names of the places that were looked at."""
    usual = Path(os.environ.get(CHECKPOINT) or _USUAL)
    named = {output.resolve(): output} | {usual.resolve(): usual}
    looked += map(str, named.values())
    beside: list[Path] = []
    for place in dict.fromkeys(folder.absolute().parent for folder in named.values()):
        others = [folder for folder in _newest_first(place) if folder.resolve() not in named][:_MOST_FOLDERS]
        looked.append(f"{len(others)} folders in {place}")
        beside += others
    for folder in (*named.values(), *beside):
        if _is_it(folder, weights):
            return FoundCheckpoint(folder, str(folder))
    return None


def _newest_first(place: Path) -> Iterator[Path]:
    """Folders that are not hidden: those hold unfinished runs."""
    try:
        found = [(entry.stat().st_mtime, Path(entry)) for entry in os.scandir(place) if entry.is_dir()]
    except OSError:
        return
    yield from (folder for _, folder in sorted(found, reverse=True) if not folder.name.startswith("."))


def _is_it(folder: Path, weights: str) -> bool:
    try:
        return folder.is_dir() and weights_digest(folder) == weights
    except OSError:
        return False  # somebody else's


def _in_mlflow(version: PublishedVersion, looked: list[str]) -> FoundCheckpoint | None:
    """In a copy that is gone when this process ends."""
    if not os.environ.get(URI) and not Path(LOCAL_STORE).is_file():
        return None
    from training.tracking.mlflow_run import fetch_checkpoint

    copies = Path(tempfile.mkdtemp(prefix="from-mlflow-"))
    atexit.register(shutil.rmtree, copies, ignore_errors=True)
    uri, weights = tracking_uri(), str(version.manifest.weights)
    looked.append(f"MLflow at {without_password(uri)}")
    before = dict(os.environ)
    try:
        found = fetch_checkpoint(uri, version.tags, copies, lambda folder: _is_it(folder, weights))
    except TrackingError as error:
        looked[-1] = f"MLflow in vain ({error})"
        return None
    finally:  # MLflow puts its address there, which would say that this training is to be tracked
        os.environ.clear()
        os.environ.update(before)
    if found is None:
        return None
    # MLflow's name for it is that of every model.
    name = version.manifest.source if is_file_name(version.manifest.source) else "checkpoint"
    folder, run = found
    return FoundCheckpoint(folder.rename(copies / name), f"in run {run} of MLflow")
