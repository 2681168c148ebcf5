"""Where a model comes from: its data, its base, how it is trained, judged and exported; read from the environment."""

import shlex
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from training import SAMPLE_DATA


class LauncherSettings(BaseSettings):
    """Settings of `python -m launcher` and its pipeline, beside those of the gateway and of the server."""

    model_config = SettingsConfigDict(env_ignore_empty=True)

    data: Path = Field(
        SAMPLE_DATA,
        description="Table (CSV, TSV, JSON Lines, Parquet) to train on, a folder of Hugging Face datasets, or a "
        "dataset's hub id.",
    )
    text_column: str | None = Field(
        None, description="Column of the text, or several with commas, which are joined; found by its name when empty."
    )
    label_column: str | None = Field(None, description="Column of the label; found by its name when empty.")
    group_column: str | None = Field(
        None, description="Column of what belongs together and is never in two splits, as a document or an author."
    )
    language_column: str | None = Field(None, description="Column of the language, for figures by language.")
    label_separator: str | None = Field(
        None, description="What stands between the labels of a row that has several in one text."
    )
    validation_data: Path | None = Field(
        None, description="File to choose the best epoch on; a part of DATA when empty."
    )
    test_data: Path | None = Field(None, description="File to test the model on; a part of DATA when empty.")
    base_model: str | None = Field(
        None,
        description="Encoder to fine-tune: a hub id, a folder, or minilm; the packaged multilingual one when empty.",
    )
    train_options: str = Field(
        "", description="Further options of `python -m training`, quoted as for a shell: `--epochs 5 --seed 1`."
    )
    checkpoint: Path = Field(
        Path("checkpoints/classifier"),
        description="Folder of the trained checkpoint; one that is there is used as it is by `make up`.",
    )
    labels: str | None = Field(
        None,
        description="Names of the labels in the order of the logits, with commas or in a file, in place of the "
        "checkpoint's.",
    )
    precision: str = Field("auto", pattern="^(auto|fp32|fp16|int8)$", description="Precision of the exported graph.")
    export_options: str = Field(
        "", description="Further options of `python -m export export`, quoted as for a shell: `--rule agreement`."
    )
    publish_options: str = Field(
        "", description="Further options of `python -m repository publish`, such as `--as candidate --after 1000`."
    )
    exported: Path = Field(
        Path("exports/classifier"), description="Folder that the pipeline exports to, and publishes from."
    )
    gate_margin: float = Field(
        0.0,
        ge=0,
        description="How much worse than the served version a model may be beyond the noise: in macro-F1, or in the "
        "unit of the numbers.",
    )
    gate_unsure: Literal["refuse", "pass"] = Field(
        "refuse", description="What the gate does with a model that cannot be compared with the served version."
    )
    track: bool | None = Field(
        None,
        description="Log training in MLflow. When empty, the pipeline does, and others where MLFLOW_TRACKING_URI is "
        "set.",
    )

    @field_validator("train_options", "export_options", "publish_options")
    @classmethod
    def _quoted_right(cls, value: str) -> str:
        shlex.split(value)  # raises ValueError, which says what is wrong
        return value

    def column_options(self) -> list[str]:
        """Return the options of `python -m training` that say what in the data is meant."""
        named = {
            "--label": self.label_column,
            "--group": self.group_column,
            "--language": self.language_column,
            "--label-separator": self.label_separator,
            "--validation": self.validation_data,
            "--test": self.test_data,
        }
        texts = [name.strip() for name in (self.text_column or "").split(",") if name.strip()]
        return [f"--text={name}" for name in texts] + [f"{name}={value}" for name, value in named.items() if value]

    def training_options(self) -> list[str]:
        """Return the options of `python -m training train`."""
        base_model = [f"--base-model={self.base_model}"] if self.base_model else []
        track = [] if self.track is None else ["--track" if self.track else "--no-track"]
        own = [f"--data={self.data}", f"--output={self.checkpoint}", *self.column_options(), *base_model, *track]
        return [*own, *shlex.split(self.train_options)]

    def all_data(self) -> list[str]:
        """Return every source that was trained, chosen or tested on."""
        return [str(source) for source in (self.data, self.validation_data, self.test_data) if source]

    def export_data_options(self) -> list[str]:
        """Return the options of `python -m export` that name the texts to compare on.

        Accuracy is measured on the test file where there is one; scales are set by what was trained on, and a precision
        is judged on the validation file. What is no file, the export does not read: a folder of datasets, or a hub id.
        """

        def files_of(source: Path | None) -> list[Path]:
            return [source] if source and (source.is_file() or source.suffix) else []

        files = files_of(self.data)
        judged = [f"--validation={file}" for file in files_of(self.validation_data)]
        if self.test_data:
            return [f"--data={self.test_data}", *(f"--calibration={file}" for file in files), *judged]
        return [*(f"--data={file}" for file in files), *judged]
