"""Turns a fine-tuned Hugging Face checkpoint into a version folder that Triton and the gateway can serve."""


class ExportError(Exception):
    """A checkpoint that cannot be exported, or a graph that does not answer as PyTorch does; says what to do."""
