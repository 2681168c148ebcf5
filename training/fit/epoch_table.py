"""What somebody who waits sees of training: a bar, and a line of a table for each epoch."""

from collections.abc import Callable
from contextlib import ExitStack
from time import perf_counter
from typing import Any

from transformers import TrainerCallback

from repository.console import Console
from repository.figures import NAMES

_COLUMN = 10


class EpochTable(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Prints the table; the bar is shown on a terminal alone, and nothing of it is left."""

    def __init__(self, console: Console, step: str | None = None) -> None:
        """Take the console, and what the bar alone says where no line is wanted."""
        self._console = console
        self._step = step
        self._bar = ExitStack()
        self._advance: Callable[..., None] | None = None
        self._columns: list[str] = []
        self._start = perf_counter()
        self._losses: list[tuple[float, int]] = []
        self._logged = 0

    def close(self) -> None:
        """Take the bar away, however training ended."""
        self._bar.close()

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Show the bar."""
        bar = self._console.progress(self._step or "training", state.max_steps, remaining=True, transient=True)
        self._advance = self._bar.enter_context(bar)
        self._advance(state.global_step)
        self._logged = state.global_step
        self._start = perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        """Move the bar."""
        if self._advance:
            self._advance(1, self._step or f"epoch {-int(-state.epoch // 1)} of {state.num_train_epochs}")

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        """Remember the loss, which comes in parts where checkpoints were written in between."""
        if "loss" in logs:
            self._losses.append((logs["loss"], state.global_step - self._logged))
            self._logged = state.global_step

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        """Print the epoch's line."""
        if self._step:
            return
        figures = {NAMES[name]: metrics[f"eval_{name}"] for name in NAMES if f"eval_{name}" in metrics}
        if not self._columns:
            self._columns = ["epoch", "train loss", "validation loss", *figures, "seconds"]
            self._console.print(line(self._columns, self._columns))
        value, best = metrics[f"eval_{args.metric_for_best_model}"], state.best_metric
        better = best is None or (value > best if args.greater_is_better else value < best)
        steps = sum(count for _, count in self._losses)
        loss = sum(loss * count for loss, count in self._losses) / steps if steps else float("nan")
        seconds = perf_counter() - self._start
        shown = [f"{state.epoch:.4g}", *(f"{figure:.3f}" for figure in (loss, metrics["eval_loss"], *figures.values()))]
        self._console.print(line(self._columns, [*shown, f"{seconds:.0f}"]) + ("  best" if better else ""))
        self._losses, self._start = [], perf_counter()


def line(columns: list[str], cells: list[str]) -> str:
    """Return a line of a table that grows while somebody watches, under a line of its columns' names."""
    return "  ".join(f"{cell:>{max(len(name), _COLUMN)}}" for name, cell in zip(columns, cells, strict=True))
