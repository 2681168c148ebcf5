"""The baseline of every export: what `torch.onnx.export` alone writes, with nothing optimized afterwards."""

import warnings
from pathlib import Path
from typing import Any

import torch

from export.checkpoint.load import Checkpoint
from export.graph.floor import OPSET
from repository.manifest import INPUTS, OUTPUT


class _LogitsAlone(torch.nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def export_plainly(checkpoint: Checkpoint, path: Path) -> None:
    """Trace the model on two sentences of sixteen tokens, with free batch and sequence axes.

    Raises:
        Exception: whatever the tracer raises for an architecture that it cannot follow.
    """
    ids = torch.randint(1, 100, (2, 16), generator=torch.Generator().manual_seed(0))
    with warnings.catch_warnings():
        # The tracer warns of every Python value it takes for a constant, and that it is the older of two.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _LogitsAlone(checkpoint.model).eval(),
            (ids, torch.ones_like(ids)),
            str(path),
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_axes={name: {0: "batch", 1: "sequence"} for name in INPUTS} | {OUTPUT: {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
