"""`python -m export calibrate`: lets a version that exists say what its scores mean, by labelled sentences."""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import ValidationError

from export import ExportError
from repository.console import Console
from repository.manifest import CONFIG_FILE, MANIFEST_FILE, Manifest, ProblemType
from repository.names import is_version_name
from repository.option_class import takes_option_class
from repository.places import open_history
from repository.settings import RepositorySettings, setting_mistakes
from repository.strict_json import strict_json

if TYPE_CHECKING:
    from export.texts.held_out import HeldOutTexts
    from repository.history import VersionHistory
    from training.data.examples import Example

NEWEST = "newest"
MANY = 4

out = Console()


@dataclass(frozen=True, kw_only=True)
class CalibrateOptions:
    """All of them, in the order of --help."""

    version: Annotated[
        str,
        typer.Argument(
            metavar="VERSION",
            help="Number of a published version (MODEL_REPOSITORY, MODEL_NAME), [bold]newest[/bold], or a version "
            "folder that is not published.",
        ),
    ]
    data: Annotated[
        list[Path],
        typer.Option(
            help="Labelled sentences: a table as for training. Of one that the model was trained on, the validation "
            "split is fitted on and the test split reported on; of other data, half of the groups each, or all of it "
            "with --test. Again for several files of the same columns."
        ),
    ]
    test: Annotated[
        list[Path] | None, typer.Option(help="Labelled sentences to report on alone; again for several files.")
    ] = None
    text: Annotated[list[str] | None, typer.Option(help="Column of the text; again for several, as in training.")] = (
        None
    )
    label: Annotated[str | None, typer.Option(help="Column of the label.")] = None
    group: Annotated[str | None, typer.Option(help="Column of what belongs together, as an author or a map.")] = None
    label_separator: Annotated[str | None, typer.Option(help="What stands between several labels of a row.")] = None
    label_precision: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1,
            help="Of models that answer several labels: the lowest threshold of each label with which so large a "
            "share of its answers is right, in place of the one of the largest F1.",
        ),
    ] = None
    output: Annotated[
        Path | None,
        typer.Option(help="Version folder to write, in place of publishing, or of changing a folder in place."),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print what was fitted as JSON.")] = False


@takes_option_class
def calibrate_version(given: CalibrateOptions) -> None:
    """Fit what a version's scores mean: calibration, thresholds of several labels, sets of labels with coverage.

    Its own graph is asked about labelled sentences that it was not trained on. A published version is never changed:
    the same graph is published as a new one, which says more of its scores. A folder is changed in place.
    """
    for option, paths in (("--data", given.data), ("--test", given.test or [])):
        for path in paths:
            if not path.is_file():
                raise ExportError(f"{path} does not exist: give {option} a table of labelled sentences")
    if is_version_name(given.version) or given.version == NEWEST:
        history, number = _published(given.version)
        _of_published(given, history, number)
        return
    folder = Path(given.version)
    if not folder.is_dir():
        raise ExportError(f"{given.version} is neither a version folder nor a version number")
    _refuse_published(folder)
    _show(given, _written(given, folder, given.output or folder))


def _refuse_published(folder: Path) -> None:
    place = folder.resolve()
    if is_version_name(place.name) and (place.parent / CONFIG_FILE).exists():
        raise ExportError(f"{folder} is published, and is never changed: give its number, and another --output if any")


def _published(wanted: str) -> "tuple[VersionHistory, int]":
    try:
        history = open_history(RepositorySettings())
    except ValidationError as error:
        raise ExportError(setting_mistakes(error)[0]) from None
    numbers = history.numbers()
    if not numbers:
        raise ExportError(f"{history.place} holds no version: publish one, or give a version folder")
    number = numbers[-1] if wanted == NEWEST else int(wanted)
    if number not in numbers:
        known = ", ".join(map(str, numbers))
        raise ExportError(f"version {number} of {history.model_name} does not exist: {history.place} holds {known}")
    return history, number


def _of_published(given: CalibrateOptions, history: "VersionHistory", number: int) -> None:
    from export.meaning.copy import copy_published

    with tempfile.TemporaryDirectory(prefix="calibrate-") as scratch:
        copy = Path(scratch, "version")
        copy.mkdir()
        copy_published(history, number, copy)
        if given.output is not None:
            _show(given, _written(given, copy, given.output))
            return
        manifest = _fitted(given, copy)
        published = history.publish(copy)
    _show(given, manifest)
    if not given.as_json:
        out.print(
            f"Published version {published} of {history.model_name}: version {number}, with what its scores mean."
        )


def _written(given: CalibrateOptions, source: Path, output: Path) -> Manifest:
    """Write a version folder, whole or not at all."""
    from export.meaning.copy import copy_folder
    from export.version.placing import put_in_place

    output = output.absolute()
    _refuse_published(output)
    if output.exists() and not (output / MANIFEST_FILE).is_file():
        raise ExportError(f"{output} exists and is no version folder: give another --output")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}-", dir=output.parent) as scratch:
        copy = Path(scratch, "version")
        copy.mkdir()
        copy_folder(source, copy)
        manifest = _fitted(given, copy)
        put_in_place(copy, output)
    return manifest


def _fitted(given: CalibrateOptions, folder: Path) -> Manifest:
    manifest = Manifest.read(folder)
    if manifest.problem_type is ProblemType.REGRESSION:
        raise ExportError("the version answers a number, which is no score: there is nothing to calibrate")
    if given.label_precision is not None and manifest.problem_type is not ProblemType.MULTI_LABEL:
        raise ExportError("--label-precision is for models that answer several labels")
    from export.meaning.fit import NoMeaningError, put_meaning

    texts = _texts(given, folder, manifest)
    try:
        return put_meaning(folder, texts, Console(stderr=True).progress, given.label_precision)
    except NoMeaningError as error:
        raise ExportError(f"nothing can be fitted: {error}") from None


def _texts(given: CalibrateOptions, folder: Path, manifest: Manifest) -> "HeldOutTexts":
    from export.texts.held_out import held_out_texts
    from export.texts.sentences import read_split

    record = read_split(folder)
    examples = _examples(given, given.data, folder, manifest)
    tests = _examples(given, given.test, folder, manifest) if given.test else None
    return held_out_texts(examples, _named(given.data), manifest.labels, record, tests, _named(given.test or []))


def _named(paths: list[Path]) -> str:
    """Files in words; none of many but the first."""
    names = [path.name for path in paths]
    return ", ".join(names) if len(names) < MANY else f"{names[0]} and {len(names) - 1} others"


def _examples(given: CalibrateOptions, paths: list[Path], folder: Path, manifest: Manifest) -> "list[Example]":
    from export.texts.held_out import labelled_examples
    from export.texts.sentences import read_split
    from training.data.columns import Wanted
    from training.data.examples import DataError
    from training.data.tables import read_table

    task = manifest.problem_type
    wanted = Wanted(tuple(given.text or ()), given.label, given.group, None, given.label_separator, task)
    record = read_split(folder)
    names = (*wanted.names, *(record.columns.needed if record is not None else ()))
    try:
        tables = [read_table(path, names) for path in paths]
    except DataError as error:
        raise ExportError(str(error)) from None
    return labelled_examples(tables, record, wanted)


def _show(given: CalibrateOptions, manifest: Manifest) -> None:
    from export.commands.meaning import in_words

    if given.as_json:
        said = manifest.model_dump(mode="json", include={"calibration", "thresholds", "coverage"})
        out.json(strict_json(said, indent=2, ensure_ascii=False))
        return
    for line in in_words(manifest):
        out.print(line)
