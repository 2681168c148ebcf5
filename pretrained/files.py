"""Checks a checkpoint's files before anything is built of them: JSON is JSON, weights are whole and not pickled.

Every check stops at the first fault, with one line that says what to do.
"""

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pretrained import CheckpointError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
WHOLE_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json")
# A zip archive, which torch.save writes, and the first byte of any pickle since protocol 2.
PICKLE_STARTS = (b"PK\x03\x04", b"\x80")
# The last layer of a classification head, by the names that transformers gives it.
HEAD_WEIGHTS = (
    "classifier.weight",
    "score.weight",
    "classifier.out_proj.weight",
    "classification_head.out_proj.weight",
)

Shapes = dict[str, tuple[int, ...]]


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        CheckpointError: it is no JSON or no object.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {str(error)[:200]}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} must hold a JSON object, not {type(content).__name__}")
    return content


def check_links(folder: Path) -> None:
    """Refuse links that leave the checkpoint: what they point to was not meant to be published.

    The hub's cache links `snapshots/<revision>/*` to `blobs/` of the same model, which is fine.

    Raises:
        CheckpointError: a file of the folder lies elsewhere.
    """
    root = folder.resolve()
    if root.parent.name == "snapshots" and root.parent.parent.name.startswith("models--"):
        root = root.parent.parent
    for path in sorted(folder.iterdir()):
        if path.is_symlink() and not path.resolve().is_relative_to(root):
            raise CheckpointError(f"{path} is a link out of the checkpoint: put the file itself there")


def has_weights(folder: Path) -> bool:
    """Whether the weights of a whole model are there, in whichever form."""
    return any((folder / name).exists() for name in (WEIGHTS, INDEX, *WHOLE_PICKLES))


def check_weights(folder: Path) -> Shapes:
    """Open every weight file and return the shape of each tensor.

    Raises:
        CheckpointError: weights are missing, cut off, pickled, or an index names what is not there.
    """
    if (folder / INDEX).is_file():
        names = _shards(folder / INDEX)
    elif (folder / WEIGHTS).is_file():
        names = [WEIGHTS]
    elif pickled := [name for name in WHOLE_PICKLES if (folder / name).exists()]:
        raise CheckpointError(
            f"{folder} has its weights in a pickle only ({pickled[0]}), which can run code: save them with "
            "safe_serialization=True to get model.safetensors"
        )
    else:
        raise CheckpointError(f"{folder} holds no weights: {WEIGHTS} is missing")
    shapes: Shapes = {}
    for name in names:
        shapes.update(tensor_shapes(folder / name))
    return shapes


def tensor_shapes(path: Path) -> Shapes:
    """Shape of each tensor in a safetensors file.

    Raises:
        CheckpointError: it is cut off, corrupt, or no safetensors file at all.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
        with safe_open(path, framework="pt") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        if start.startswith(PICKLE_STARTS):
            raise CheckpointError(f"{path} is a pickle under the name of safetensors, and is not read") from None
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} is cut off or corrupt, copy it again: {reason}") from None


def head_width(shapes: Shapes) -> int | None:
    """Number of logits by the shape of the head's last layer, or None where it has a name of its own."""
    widths = [shapes[name][0] for name in HEAD_WEIGHTS if name in shapes]
    return widths[0] if len(widths) == 1 else None


def _shards(index: Path) -> list[str]:
    weight_map = read_object(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(name, str) for name in weight_map.values()):
        raise CheckpointError(f"{index} has no weight_map from tensors to files")
    names = sorted(set(weight_map.values()))
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise CheckpointError(f"{index} names {name!r}: shards are .safetensors files in the checkpoint's folder")
        if not (index.parent / name).is_file():
            raise CheckpointError(f"{index} names {name}, which is missing: copy the whole checkpoint")
    if not names:
        raise CheckpointError(f"{index} names no file")
    return names
