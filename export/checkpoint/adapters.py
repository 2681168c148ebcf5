"""Merges a LoRA adapter into its base model, so that the graph costs what the base alone costs."""

from pathlib import Path
from typing import Any

from export import ExportError
from export.checkpoint.sources import ADAPTER_CONFIG, Source, find_source
from pretrained.files import Shapes, read_object, tensor_shapes

ADAPTER_WEIGHTS = "adapter_model.safetensors"
# PEFT prefixes the names of the wrapped model with these.
WRAPPERS = ("base_model.", "model.")


def base_of(source: Source, trust_remote_code: bool = False) -> Source:
    """Folder of the model that an adapter was trained on.

    Raises:
        ExportError: adapter_config.json does not name it, or it is not there.
    """
    named = source.base or read_object(source.model / ADAPTER_CONFIG).get("base_model_name_or_path")
    if not isinstance(named, str) or not named:
        raise ExportError(f"{source.model / ADAPTER_CONFIG} names no base model (base_model_name_or_path)")
    try:
        base = find_source(named, trust_remote_code)
    except ExportError as error:
        raise ExportError(f"the adapter {source.name} needs its base model: {error}") from None
    if base.is_adapter:
        raise ExportError(f"{source.name} is an adapter of {named}, which is an adapter itself: merge that first")
    return base


def adapter_shapes(folder: Path) -> Shapes:
    """Shapes of the tensors that the adapter brings, by the names they have in the base model.

    Raises:
        ExportError: the adapter's weights are missing, pickled or corrupt.
    """
    path = folder / ADAPTER_WEIGHTS
    if not path.is_file():
        raise ExportError(f"{folder} lacks {ADAPTER_WEIGHTS}; pickled adapters (adapter_model.bin) are not read")
    prefix = "".join(WRAPPERS)
    return {name.removeprefix(prefix): shape for name, shape in tensor_shapes(path).items()}


def require_peft() -> None:
    """Raises ExportError where PEFT is not installed."""
    try:
        import peft  # noqa: F401
    except ImportError:
        raise ExportError("a LoRA adapter needs PEFT: pip install 'text-classifier-server[adapters]'") from None


def merge_adapter(model: Any, folder: Path) -> Any:
    """The base model with the adapter's weights added in.

    Raises:
        ExportError: PEFT refuses the adapter, or it is of a kind that cannot be merged, such as a prompt.
    """
    from peft import PeftModel

    try:
        adapted = PeftModel.from_pretrained(model, str(folder))
    except Exception as error:  # anything, by what is wrong with the files
        raise ExportError(f"{folder}: the adapter does not fit: {' '.join(str(error).split())[:200]}") from None
    if not hasattr(adapted, "merge_and_unload"):
        kind = read_object(folder / ADAPTER_CONFIG).get("peft_type")
        raise ExportError(f"{folder} is a {kind} adapter, which cannot be merged into its model; LoRA can")
    return adapted.merge_and_unload()
