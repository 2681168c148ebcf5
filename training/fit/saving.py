"""A trained model as an ordinary checkpoint: its weights and its tokenizer, for any Hugging Face tool."""

from pathlib import Path

from training.fit.train import TrainedModel


def save_checkpoint(trained: TrainedModel, folder: Path, sequence_limit: int) -> None:
    """Write the model (safetensors) and its tokenizer to `folder`, for any Hugging Face tool to load."""
    trained.model.save_pretrained(folder, safe_serialization=True)
    tokenizer = trained.tokenizer
    # A tokenizer.json keeps the last cut and padding it was asked for (the packaged one: 128 tokens, always):
    # whoever loads it without transformers would cut there.
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.model_max_length = sequence_limit
    tokenizer.save_pretrained(folder)
