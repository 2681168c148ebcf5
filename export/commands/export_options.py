"""Options of `python -m export export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from export.checkpoint.layout import Layout as GraphLayout


class PrecisionChoice(StrEnum):
    """Values of `--precision`."""

    AUTO = "auto"
    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


Checkpoint = Annotated[
    str,
    typer.Argument(
        help="Folder of a fine-tuned sequence classifier (or of a LoRA adapter, or of a model that MLflow logged), "
        "or its id on the Hugging Face hub, or its address in MLflow (models:/NAME/VERSION, runs:/RUN/model)."
    ),
]
Output = Annotated[Path, typer.Option(help="Version folder to write; an older one is replaced.")]
Precision = Annotated[
    PrecisionChoice,
    typer.Option(
        help="Number format of the graph. [bold]auto[/bold]: fp16 where CUDA serves, else int8 if it agrees with "
        "PyTorch on 99.5 % of labels, no score of which changes with padding or batching, and macro-F1 falls by at "
        "most 0.005; else fp32. int8 sets its scales by sentences of [bold]--data[/bold] that are not compared on."
    ),
]
Layout = Annotated[
    GraphLayout,
    typer.Option(
        help="Form of the graph, for --precision fp32 or fp16. [bold]fused[/bold]: what CPUs and CUDA serve best. "
        "[bold]plain[/bold]: operators of the ONNX standard alone, for TensorRT. [bold]packed[/bold]: for CUDA, where "
        "padding then costs in attention alone; encoders whose attention is fused."
    ),
]
Data = Annotated[
    Path,
    typer.Option(
        help="Sentences to compare on: a table of maps as for training, of which the maps that the checkpoint held "
        "out (split.json) are taken, and none that it was trained on; CSV, TSV, JSON Lines or Parquet with a "
        "column sentence or text, and maybe label; or .txt with one sentence a line. True labels are used if they "
        "are the checkpoint's. Maps it was trained on, or a fifth of other data, set the scales of int8; the "
        "sample data do so only for a checkpoint with their labels."
    ),
]
Calibration = Annotated[
    Path | None,
    typer.Option(
        help="Real sentences to compare on, and to set int8's scales by, in place of those of --data: a file of "
        "the same kinds. Accuracy is still measured on --data."
    ),
]
Golden = Annotated[
    str,
    typer.Option(
        metavar="FILE|none",
        help="Sentences to choose those from that are kept in the version, in clear text, with PyTorch's answers "
        "(golden.json): a file of the same kinds as --data, or [bold]none[/bold] to keep none.",
        show_default="those that are compared on",
    ),
]
MaxLength = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Longest sequence to serve, in tokens; longer texts are cut. By default the model's own limit, but at "
        "most 2048, since attention takes heads × length² × 4 bytes a text: with twelve heads 0.2 GB at 2048 "
        "tokens, 3.2 GB at 8192, 52 GB at 32768, times the texts that are computed at once.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Names of the labels in the order of the logits, in place of the checkpoint's: a list with commas, or "
        "a file (one a line, a JSON list, or JSON as id2label has it).",
        show_default="those of config.json",
    ),
]
Report = Annotated[
    bool,
    typer.Option(
        help="Take the training's report and model card along (report.html, README.md), which the gateway shows. "
        "They may hold sentences of the training data: see --report of python -m training."
    ),
]
Cascade = Annotated[
    str | None,
    typer.Option(
        metavar="CHECKPOINT",
        help="A student: a smaller checkpoint with the same tokenizer and labels, which answers the sentences that it "
        "is sure of in place of the model. Both graphs are in the version. It is left out, with the reason, where no "
        "confidence is enough to keep --cascade-delta or where it would save nothing.",
    ),
]
CascadeDelta = Annotated[
    float,
    typer.Option(
        min=0.0001,
        max=0.5,
        help="Most of all sentences that the student may answer otherwise than the model: the 95 % bound, on sentences "
        "of --data that neither was trained on. 0.005 takes 598 of them or more.",
    ),
]
CascadeTexts = Annotated[
    Path | None,
    typer.Option(
        help="More sentences to choose the student's bar on: a file of the same kinds as --data. They need no labels, "
        "and should be such as the service is asked."
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Write the version although it is outside its tolerance; it stays marked.")
]
TrustRemoteCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="Run the Python code that the checkpoint brings along.")
]
