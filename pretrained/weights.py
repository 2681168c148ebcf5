"""Which weights does a checkpoint hold? Their digests, as `sha256sum` writes and checks them."""

import hashlib
from pathlib import Path

from repository.manifest import digest_file
from repository.names import is_file_name


def weights_text(folder: Path) -> str:
    """Return a line for each safetensors file of a checkpoint or a LoRA adapter, however many shards it has.

    `sha256sum --check` reads it in the folder. Empty where there is none.

    Raises:
        OSError: a file can't be read.
    """
    files = sorted(path for path in folder.glob("*.safetensors") if path.is_file() and is_file_name(path.name))
    return "".join(f"{digest_file(path).sha256}  {path.name}\n" for path in files)


def weights_digest(folder: Path) -> str | None:
    """Return what tells these weights from others: the sha256 of `weights_text`. None where there are none.

    Raises:
        OSError: a file can't be read.
    """
    text = weights_text(folder)
    return hashlib.sha256(text.encode()).hexdigest() if text else None
