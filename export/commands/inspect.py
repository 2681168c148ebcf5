"""`python -m export inspect`: what a version is made of and what was measured of it, as tables or as JSON."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from export.commands.anatomy import Anatomy, Layer, dissect
from export.commands.cascade import summary
from export.commands.facts import facts_table
from export.commands.meaning import of_calibration, of_coverage, of_thresholds
from export.commands.versions import find_version
from export.graph.floor import floor
from repository.console import Console, Table, shortened, styled
from repository.manifest import MANIFEST_FILE, MODEL_FILE, Evaluation, Manifest
from repository.strict_json import strict_json

VersionArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="VERSION",
        help="Version folder, or number of a published version (MODEL_REPOSITORY, MODEL_NAME); the newest if none.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, with sizes in bytes, in place of tables.")]


def inspect_version(version: VersionArgument = None, as_json: Json = False) -> None:
    """Show what is inside a version: operators, number formats by layer, sizes, opsets, figures.

    Reads neither PyTorch nor the graph's external data.
    """
    folder = find_version(version)
    manifest = Manifest.read(folder)
    anatomy = dissect(folder / MODEL_FILE)
    sizes = file_sizes(folder, [*manifest.files, *anatomy.external_files])
    out = Console()
    if as_json:
        graph = anatomy.model_dump(mode="json")
        contents = {"folder": str(folder), "manifest": manifest.model_dump(mode="json"), "graph": graph, "files": sizes}
        out.json(strict_json(contents, indent=2, ensure_ascii=False))
        return
    out.print(styled(str(folder), "bold"))
    out.table(_summary(manifest, anatomy, sizes), _operators(anatomy), _layers(anatomy))


def file_sizes(folder: Path, names: Iterable[str]) -> dict[str, int | None]:
    """Size of each file in bytes, None where it is missing."""
    paths = {name: folder / name for name in sorted({*names, MANIFEST_FILE})}
    return {name: path.stat().st_size if path.is_file() else None for name, path in paths.items()}


def _summary(manifest: Manifest, anatomy: Anatomy, sizes: dict[str, int | None]) -> Table:
    shown: dict[str, str | list[str]] = {
        "source": manifest.source,
        "created": f"{manifest.created_at.astimezone():%Y-%m-%d %H:%M}"
        + (f", copy of version {manifest.republished_from}" if manifest.republished_from else ""),
        "precision": f"{manifest.precision.value} ({manifest.precision_reason})",
        "problem type": manifest.problem_type.value,
        "labels": f"{len(manifest.labels)}: {', '.join(map(shortened, manifest.labels))}",
        "longest input": f"{manifest.max_length} tokens, padding id {manifest.pad_token_id}",
        "inputs": [_tensor(tensor) for tensor in anatomy.inputs],
        "outputs": [_tensor(tensor) for tensor in anatomy.outputs],
        "opsets": _opsets(anatomy),
        "files": [f"{name} {'missing' if size is None else _size(size)}" for name, size in sizes.items()],
        "weights": _size(sum(anatomy.bytes_by_format.values())) + ": " + _formats(anatomy.bytes_by_format),
        "parity": _figures(manifest.parity.model_dump()),
        "evaluation": _evaluation(manifest.evaluation) if manifest.evaluation else "not measured",
        **_meaning(manifest),
        **({"cascade": summary(manifest.cascade).splitlines()} if manifest.cascade else {}),
        "libraries": ", ".join(f"{name} {number}" for name, number in manifest.library_versions.items()) or "unknown",
    }
    return facts_table(shown)


def _meaning(manifest: Manifest) -> dict[str, str | list[str]]:
    found: dict[str, str | list[str]] = {}
    if manifest.calibration is not None:
        found["calibration"] = of_calibration(manifest.calibration)
    if manifest.thresholds is not None:
        found["thresholds"] = of_thresholds(manifest.thresholds, manifest.labels)
    if manifest.coverage is not None:
        found["label sets"] = of_coverage(manifest.coverage)
    return found


def _operators(anatomy: Anatomy) -> Table:
    count = sum(operator.count for operator in anatomy.operators)
    fused = sum(operator.count for operator in anatomy.operators if operator.fused)
    table = Table("operator", "domain", "count", "fused", title=f"{count} operators, {fused} of them fused")
    table.columns[2].justify = "right"
    for operator in anatomy.operators:
        table.add_row(operator.name, operator.domain, str(operator.count), "fused" if operator.fused else "")
    return table


def _layers(anatomy: Anatomy) -> Table:
    """Neighbouring layers that are made alike share a row."""
    formats = list(anatomy.bytes_by_format)
    table = Table("part", "operators", *formats, title="Weights and constants by number format")
    for column in table.columns[1:]:
        column.justify = "right"
    for _, group in groupby(anatomy.layers, key=lambda layer: (layer.name.split(" ")[:-1], layer.bytes_by_format)):
        alike = list(group)
        sizes = [_size(alike[0].bytes_by_format[name]) if name in alike[0].bytes_by_format else "" for name in formats]
        table.add_row(_layer_names(alike), _range({layer.operators for layer in alike}), *sizes)
    return table


def _layer_names(layers: list[Layer]) -> str:
    first = layers[0].name
    return first if len(layers) == 1 else f"{first} to {layers[-1].name.rsplit(' ', 1)[1]}, each"


def _range(counts: set[int]) -> str:
    return str(min(counts)) if len(counts) == 1 else f"{min(counts)} to {max(counts)}"


def _tensor(tensor: Any) -> str:
    return f"{tensor.name} {tensor.type} [{', '.join(map(str, tensor.shape))}]"


def _opsets(anatomy: Anatomy) -> list[str]:
    opsets = ", ".join(f"{domain} {version}" for domain, version in anatomy.opsets.items())
    runtime = f"the pinned Triton reads (ONNX Runtime {floor().onnxruntime})"
    past = anatomy.past_triton_floor
    verdict = f"NEWER than what {runtime}: {'; '.join(past)}" if past else f"within what {runtime}"
    return [f"{opsets}; IR version {anatomy.ir_version}", verdict]


def _figures(figures: dict[str, Any]) -> list[str]:
    return [
        f"{name.replace('_', ' ')} {value:.4g}" if isinstance(value, float) else f"{name.replace('_', ' ')} {value}"
        for name, value in figures.items()
    ]


def _evaluation(evaluation: Evaluation) -> list[str]:
    told = [f"on the {evaluation.origin}"] if evaluation.origin else []
    flat = evaluation.model_dump(exclude={"held_out", "origin", "figures", "checkpoint_figures"}, exclude_none=True)
    others = {f"checkpoint_{name}": value for name, value in evaluation.checkpoint_figures.items()}
    return told + _figures({**flat, **evaluation.figures, **others})


def _formats(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} {_size(size)}" for name, size in sizes.items()) or "none"


def _size(size_bytes: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= factor:
            return f"{size_bytes / factor:.1f} {unit}"
    return f"{size_bytes} B"
