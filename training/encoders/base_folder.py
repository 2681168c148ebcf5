"""Where does a base model lie? In a folder, in a package that is installed, or on the hub; needs no torch."""

from pathlib import Path

from training.encoders.e5_encoder import PackagedEncoderError
from training.encoders.packaged import DEFAULT, ENCODERS

# What a tokenizer is read from; its folders and the weights can wait until all else is known to be right.
_TOKENIZER_FILES = ["*.json", "*.model", "*.txt"]


class BaseModelError(ValueError):
    """The base model can't be used; the message is one sentence for the person who named it."""


def place_of(name: str | None) -> str:
    """Return the folder of a base model, or the hub id that it has.

    Args:
        name: a folder, a name of `training.encoders.packaged`, or a hub id; None: the default.

    Raises:
        BaseModelError: it is a folder that is not there, or a packaged encoder that can't be used.
    """
    name = name or DEFAULT
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder)
    if name in ENCODERS:
        try:
            return str(ENCODERS[name]())
        except PackagedEncoderError as error:
            raise BaseModelError(str(error)) from None
    if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise BaseModelError(f"base model {name}: there is no such folder.")
    return name


def tokenizer_folder(place: str) -> Path:
    """Return the folder of a base model's configuration and tokenizer; what the hub has is fetched, but no weights.

    Raises:
        BaseModelError: the hub has no such model, or can't be reached.
    """
    if (folder := Path(place)).is_dir():
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(place, allow_patterns=_TOKENIZER_FILES, ignore_patterns=["*/*"]))
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        raise BaseModelError(why_not_fetched(place, error)) from None


def why_not_fetched(name: str, error: Exception) -> str:
    """Return the sentence that says why a model can't be had from the hub."""
    if "trust_remote_code" in str(error):
        return f"base model {name} needs code of its own to be run, which is never done here; choose another one."
    if "not a valid model identifier" in str(error) or "gated" in str(error) or "401" in str(error):
        return f"base model {name}: no such folder, and no public model of this id on the Hugging Face hub."
    return (
        f"base model {name} is no local folder and could not be fetched from the Hugging Face hub "
        f"({first_line(error)}); give a local folder that holds the model."
    )


def first_line(error: Exception) -> str:
    """Return what an error says first, or its kind where it says nothing."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:300]
