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


class ServesOn(StrEnum):
    """Values of `--serves-on`."""

    CPU = "cpu"
    GPU = "gpu"


class RuleChoice(StrEnum):
    """Values of `--rule`."""

    ACCURACY = "accuracy"
    AGREEMENT = "agreement"


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
        help="Number format of the graph. [bold]auto[/bold]: fp16 for a GPU, int8 for a CPU, if it passes "
        "[bold]--rule[/bold] on sentences that it is not reported on and is faster than fp32 here; else fp32. int8 "
        "sets its scales by other sentences of [bold]--data[/bold] again."
    ),
]
Rule = Annotated[
    RuleChoice,
    typer.Option(
        help="What auto asks. [bold]accuracy[/bold]: accuracy and macro-F1 (of several labels exact match and macro-F1,"
        " of numbers the mean absolute error) not worse than PyTorch's by more than --margin, where sentences have "
        "true labels; where they have none, 99.5 % of answers the same; both with 95 % confidence. And of answers of "
        "which PyTorch is sure, at most 1 in 1,000 may change. [bold]agreement[/bold]: 99.5 % of answers the same in "
        "any case, too."
    ),
]
Margin = Annotated[
    float,
    typer.Option(
        min=0.001,
        max=0.5,
        help="How much worse than PyTorch's a figure may be for auto, with 95 % confidence; of numbers, as a share of "
        "how far the answers are apart. A smaller one takes more sentences to show.",
    ),
]
ServesOnOption = Annotated[
    ServesOn | None,
    typer.Option(help="What the version will be computed on, for auto.", show_default="what this machine has"),
]
Validation = Annotated[
    Path | None,
    typer.Option(
        help="Sentences that auto is judged on and a student's bar is chosen on, a file of the same kinds as --data; "
        "for checkpoints with split files of their own.",
        show_default="the validation split in --data or --calibration, or a part of other data",
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
        "sample data do so only for a checkpoint with their labels. Where auto has no validation split to be judged "
        "on, it takes three fifths of other data."
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
CalibratedScores = Annotated[
    bool,
    typer.Option(
        help="Fit what scores mean on the checkpoint's validation split, where the file with it is given: calibration, "
        "thresholds of several labels, sets of labels with coverage. Answers change where a request or a setting asks, "
        "and by the thresholds unless THRESHOLD is set. Gateways that came before these refuse a version that has them."
    ),
]
LabelPrecision = Annotated[
    float | None,
    typer.Option(
        min=0.01,
        max=1,
        help="Of models that answer several labels: the lowest threshold of each label with which so large a share of "
        "its answers is right, in place of the one of the largest F1.",
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
        "of --data and --validation that neither was trained on. 0.005 takes 598 of them or more.",
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
