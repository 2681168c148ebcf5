"""What training and export both have to know of a pretrained model's folder: architecture, files, tokenizer, limits."""


class CheckpointError(Exception):
    """A checkpoint or base model cannot be used; the message is one line for the person who named it."""
