"""Turns a fine-tuned Hugging Face checkpoint into a version folder that Triton and the gateway can serve."""

from collections.abc import Callable
from contextlib import AbstractContextManager

Advance = Callable[[int], None]
Step = Callable[[str, int], AbstractContextManager[Advance]]
"""Opens a progress bar: description and total in, a function that advances it out."""


class ExportError(Exception):
    """A checkpoint that cannot be exported, or a graph that does not answer as PyTorch does; says what to do."""
