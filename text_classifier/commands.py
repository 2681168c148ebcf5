"""Which subcommands are there, what does each do in a line, and which program is it?"""

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from repository.console import Console
from repository.spelling import COMMAND, DISTRIBUTION
from text_classifier.lazy import Entry, LazyGroup

MODEL, VERSIONS, SERVING, MEASURING = "Make a model", "Export and publish", "Serve", "Measure"
NOT_INSTALLED = "of a checkout that is not installed"

COMMANDS = {
    "inspect": Entry("Say what is in data before any training.", MODEL, "training.__main__:app", "inspect", "train"),
    "train": Entry("Fine-tune a text classifier on a table.", MODEL, "training.__main__:app", "train", "train"),
    "distill": Entry(
        "Teach a smaller model to answer as a checkpoint does.",
        MODEL,
        "training.__main__:app",
        "distill",
        "train,export",
    ),
    "evaluate": Entry(
        "Measure a checkpoint anew, on its test texts or on a file.",
        MODEL,
        "training.__main__:app",
        "evaluate",
        "train,export",
    ),
    "track": Entry("Log a checkpoint in MLflow.", MODEL, "training.__main__:app", "track", "track"),
    "gate": Entry(
        "Refuse a model that is worse than the served version.", MODEL, "launcher.gate:app", "", "train,export,cpu"
    ),
    "pipeline": Entry(
        "From data to a published version, step by step.", MODEL, "launcher.pipeline:app", "", "train,export,cpu"
    ),
    "export": Entry(
        "Turn a checkpoint into an optimized ONNX graph that answers as PyTorch does.",
        VERSIONS,
        "export.__main__:app",
        "export",
        "export,cpu",
    ),
    "publish": Entry(
        "Publish an exported version, which a running Triton then loads.",
        VERSIONS,
        "repository.__main__:app",
        "publish",
        "export",
    ),
    "version": Entry(
        "Look into a version, or compare the answers of two.", VERSIONS, "text_classifier.commands:version_app"
    ),
    "repository": Entry(
        "List, roll back, pin, prune and verify published versions.",
        VERSIONS,
        "repository.__main__:app",
        "",
        "export",
    ),
    "serve": Entry(
        "Serve a model over HTTP: publish one if there is none, then start Triton and the gateway.",
        SERVING,
        "launcher.__main__:app",
        "",
        "all",
    ),
    "gateway": Entry("Start the gateway alone, for a running Triton.", SERVING, "gateway.__main__:cli", "", "gateway"),
    "triton": Entry("Start Triton alone; install or check it.", SERVING, "server.__main__:app", "", "gateway"),
    "classify": Entry(
        "Ask a running gateway for the labels of texts.",
        SERVING,
        "text_classifier.classify.__main__:cli",
        "",
        "client",
    ),
    "score": Entry(
        "Score a whole file through the Triton that runs.", SERVING, "gateway.batch.__main__:cli", "", "gateway"
    ),
    "bench": Entry("Measure the service on this machine.", MEASURING, "benchmarks.__main__:app", "", "all,bench"),
}

VERSION_COMMANDS = {
    "inspect": Entry(
        "What a version is made of, and what was measured.",
        "Commands",
        "export.__main__:app",
        "inspect",
        "export",
    ),
    "diff": Entry(
        "How the answers of two versions differ on a file.", "Commands", "export.__main__:app", "diff", "export,cpu"
    ),
    "calibrate": Entry(
        "Fit what a version's scores mean, by labelled sentences.",
        "Commands",
        "export.__main__:app",
        "calibrate",
        "export,cpu",
    ),
    "profile": Entry(
        "The shapes that TensorRT is to build for, from the lengths of real sentences.",
        "Commands",
        "export.__main__:app",
        "profile",
        "export",
    ),
}


class Commands(LazyGroup):
    """The subcommands of the command."""

    entries = COMMANDS


class VersionCommands(LazyGroup):
    """Those of `text-classifier version`."""

    entries = VERSION_COMMANDS


def _show_version(asked: bool) -> None:
    if not asked:
        return
    try:
        number = version(DISTRIBUTION)
    except PackageNotFoundError:
        number = NOT_INSTALLED
    Console().print(f"{COMMAND} {number}")
    raise typer.Exit


app = typer.Typer(cls=Commands, no_args_is_help=True, pretty_exceptions_enable=False)
version_app = typer.Typer(cls=VersionCommands, no_args_is_help=True, add_completion=False)


@app.callback(
    epilog="Folders are those of the current one: checkpoints/, exports/, model_repository/. Settings are environment "
    "variables: the help of each command names them."
)
def text_classifier(
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """A fine-tuned Hugging Face text classifier, served by Triton behind an HTTP gateway.

    By itself, `text-classifier serve` trains the sample model, publishes it and answers requests. For a model of your
    own: inspect, train, export, publish; a running service takes it up without a restart.
    """


@version_app.callback()
def version_commands() -> None:
    """Look into versions: folders that the export wrote, or numbers in the model repository."""
