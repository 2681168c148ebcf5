"""Where `make up` takes a model from when none is published yet."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from training import SAMPLE_DATA


class LauncherSettings(BaseSettings):
    """Settings of `python -m launcher`, beside those of the gateway and of the server."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    data: Path = Field(SAMPLE_DATA, description="Table (CSV, TSV, JSON Lines, Parquet) to train the first model on.")
    base_model: str | None = Field(
        None,
        description="Encoder to fine-tune: a hub id, a folder, or minilm; the packaged multilingual one when empty.",
    )
    checkpoint: Path = Field(
        Path("checkpoints/classifier"),
        description="Folder of the trained checkpoint; one that is there is used as it is.",
    )
    labels: str | None = Field(
        None,
        description="Names of the labels in the order of the logits, with commas or in a file, in place of the "
        "checkpoint's.",
    )
    precision: str = Field("auto", pattern="^(auto|fp32|fp16|int8)$", description="Precision of the exported graph.")
