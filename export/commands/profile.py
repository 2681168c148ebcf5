"""`python -m export profile`: the shapes that TensorRT is to build for, from the lengths of real sentences."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from export import ExportError
from export.commands.facts import facts_table
from export.commands.inspect import VersionArgument
from export.commands.versions import find_version
from export.graph.floor import nodes_of
from export.graph.weights import read_structure
from repository.cards import UNKNOWN_TOKENS, found_card
from repository.console import Console
from repository.manifest import CONFIG_FILE, MODEL_FILE, Manifest, RepositoryError
from repository.settings import RepositorySettings, setting_mistakes
from training import SAMPLE_DATA

out = Console()

Data = Annotated[Path, typer.Option(help="Sentences like those that will be asked: a file as for `export --data`.")]
BatchTokens = Annotated[
    int | None,
    typer.Option(
        min=1,
        help=f"BATCH_TOKENS of the gateway (default: what the card of this machine begins with, or {UNKNOWN_TOKENS}).",
    ),
]
Write = Annotated[
    bool,
    typer.Option(
        "--write", help="Write them into config.pbtxt of MODEL_NAME, and with them that GPUs run it through TensorRT."
    ),
]


def show_profile(
    version: VersionArgument = None, data: Data = SAMPLE_DATA, batch_tokens: BatchTokens = None, write: Write = False
) -> None:
    """Show the shapes for which TensorRT should build a version's engine, from the lengths of real sentences.

    TensorRT knows the operators of ONNX alone: with others in the graph, ONNX Runtime deals it out to TensorRT and
    CUDA piece by piece, and then refuses these shapes. [bold]export --layout plain[/bold] makes a graph without.
    """
    from repository.config import ModelConfig, parse_config, with_tensorrt
    from repository.places import open_history
    from repository.tensorrt import percentiles, profile_of

    folder = find_version(version)
    manifest = Manifest.read(folder)
    lengths = _lengths(folder, manifest, data)
    try:
        history = open_history(RepositorySettings())
        config = parse_config(history.config())
    except ValidationError as error:
        raise ExportError(setting_mistakes(error)[0]) from None
    except RepositoryError:
        if write:
            raise
        config = ModelConfig("none yet")
    card = found_card()
    tokens = batch_tokens or (card.batch_tokens if card else UNKNOWN_TOKENS)
    profile = profile_of(lengths, config.max_batch_size, manifest.max_length, tokens)
    foreign = _foreign_operators(folder / MODEL_FILE)
    if write and foreign:
        raise ExportError(
            f"{folder} has {', '.join(foreign)}, which TensorRT does not know, so that ONNX Runtime would refuse the "
            "shapes: export it with --layout plain"
        )
    shares = ", ".join(f"{share} % have at most {length}" for share, length in percentiles(lengths).items())
    out.table(
        facts_table(
            {
                "lengths": f"{len(lengths)} sentences of {data.name}, in tokens: {shares}",
                "built for": f"{profile.optimum[0]} sentences of {profile.optimum[1]} tokens",
                "not of ONNX": ", ".join(foreign) or "none",
                **profile.parameters,
            }
        )
    )
    if write:
        history.change_config(lambda text: with_tensorrt(text, profile.parameters))
        out.print(f"Changed {CONFIG_FILE} of {history.model_name}: GPUs run it through TensorRT, for these shapes.")


def _lengths(folder: Path, manifest: Manifest, data: Path) -> list[int]:
    from export.texts.data_file import read_data
    from export.texts.sentences import choose_sentences
    from repository.inference import load_tokenizer

    if not data.is_file():
        raise ExportError(f"{data} does not exist: give --data a file of real sentences")
    chosen = choose_sentences(read_data(data), manifest.labels, keep_all=True)
    encodings = load_tokenizer(folder, manifest.max_length).encode_batch([*chosen.compared, *chosen.calibration])
    return [len(encoding.ids) for encoding in encodings if encoding.ids]


def _foreign_operators(graph: Path) -> Sequence[str]:
    """Operators of the graph that ONNX itself does not define, each once."""
    nodes = nodes_of(read_structure(graph).graph)
    return sorted({f"{node.domain}.{node.op_type}" for node in nodes if node.domain not in ("", "ai.onnx")})
