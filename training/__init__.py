"""Fine-tunes a Hugging Face encoder on the ideas of mind maps and says how well it does on maps it has never seen."""

from repository.shipped import SAMPLE_DATA

__all__ = ["SAMPLE_DATA"]
