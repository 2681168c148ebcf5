"""Options of `text-classifier classify`, and what they ask of the client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from text_classifier.classify.errors import UsageError
from text_classifier.classify.reading import Kind

if TYPE_CHECKING:
    from text_classifier.classify.writing import Printer

API_KEY = "TEXT_CLASSIFIER_API_KEY"


@dataclass(frozen=True, kw_only=True)
class ClassifyOptions:
    """All of them, in the order of --help."""

    texts: Annotated[list[str] | None, typer.Argument(metavar="[TEXT]...", help="Texts to classify.")] = None
    file: Annotated[
        Path | None,
        typer.Option(help="File of texts: .csv, .tsv, .jsonl, or a text a line; `-` is stdin."),
    ] = None
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Column of the text; again for several, joined by a space (by itself: as in training, else `text`, "
            "`sentence` or the only one).",
        ),
    ] = None
    input_format: Annotated[Kind | None, typer.Option(help="Of the input, where no file's name says it.")] = None
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON Lines: the input's fields, the answer, the request's id.")
    ] = False
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV: the input's columns, label, score and model_version.")
    ] = False
    on_error: Annotated[str, typer.Option(metavar="stop|keep", help="What a text that the server refuses does.")] = (
        "stop"
    )
    url: Annotated[str, typer.Option(envvar="TEXT_CLASSIFIER_URL", help="Address of the gateway.")] = (
        "http://127.0.0.1:8000"
    )
    model: Annotated[str | None, typer.Option(help="Which of the gateway's models.")] = None
    version: Annotated[int | None, typer.Option(min=1, help="Which of the model's versions.")] = None
    top_k: Annotated[str | None, typer.Option(metavar="N|all", help="How many labels, best first.")] = None
    calibrated: Annotated[
        bool | None,
        typer.Option(
            "--calibrated/--as-they-are",
            help="Calibrated scores, or those of the model.",
            show_default="as the server is set",
        ),
    ] = None
    min_score: Annotated[float | None, typer.Option(min=0, max=1, help="Leave out labels with a lower score.")] = None
    unknown: Annotated[str | None, typer.Option(help="Label where no other is left.")] = None
    coverage: Annotated[
        float | None, typer.Option(help="The set of labels that holds the right one in such a share of cases, as 0.95.")
    ] = None
    long_text: Annotated[
        str | None, typer.Option(metavar="truncate|windows", help="How a text is read that is longer than the model.")
    ] = None
    receipt: Annotated[bool, typer.Option("--receipt", help="A signed receipt with each answer, in --json.")] = False
    batch_size: Annotated[int, typer.Option(min=1, help="Most texts of one request.")] = 64
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Most requests at a time.")] = 4
    timeout: Annotated[float, typer.Option(help="Seconds for each attempt.")] = 30
    deadline: Annotated[
        float | None, typer.Option(help="Seconds for each request, retries included.", show_default="none")
    ] = None

    def printer(self, on_terminal: bool) -> Printer:
        """What prints answers. Raises UsageError: options that do not go together."""
        from text_classifier.classify.writing import Csv, JsonLines, Plain

        if self.as_json and self.as_csv:
            raise UsageError("--json and --csv are two ways of printing: give one.")
        if self.on_error not in ("stop", "keep"):
            raise UsageError("--on-error is stop or keep.")
        return JsonLines(on_terminal) if self.as_json else Csv(on_terminal) if self.as_csv else Plain()

    def settings(self) -> dict[str, Any]:
        """Of the client."""
        return {"timeout": self.timeout, "concurrency": self.concurrency, "batch_size": self.batch_size}

    def asked(self) -> dict[str, Any]:
        """Of each request. Raises UsageError."""
        top_k: Any = self.top_k
        if top_k is not None and top_k != "all":
            if not (top_k.isascii() and top_k.isdecimal()):
                raise UsageError("--top-k is a whole number, or all.")
            top_k = int(top_k)
        return {
            "model": self.model,
            "version": self.version,
            "top_k": top_k,
            "calibrated": self.calibrated,
            "min_score": self.min_score,
            "unknown": self.unknown,
            "coverage": self.coverage,
            "long_text": self.long_text,
            "receipt": self.receipt or None,
        }
