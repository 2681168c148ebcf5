"""Fine-tunes a Hugging Face encoder on the ideas of mind maps and says how well it does on maps it has never seen."""

from pathlib import Path

SAMPLE_DATA = Path(__file__).resolve().parent.parent / "data" / "public_maps.csv"
"""The data set that comes with the project; its data card is beside it."""
