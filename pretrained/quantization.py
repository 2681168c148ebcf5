"""Whether a model's weights are quantized: those are no numbers to compute with until a library has unpacked them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pretrained import CheckpointError

# Keys of config.json; the second is what compressed-tensors wrote at first.
_CONFIG_KEYS = ("quantization_config", "compression_config")
# Files of AutoGPTQ and AutoAWQ, which leave config.json as it was.
_FILES = {"quantize_config.json": "gptq", "quant_config.json": "awq"}
# What stands in the files for a weight: GPTQ and AWQ, compressed-tensors, bitsandbytes in eight and in four bits.
_TENSORS = {
    ".qweight": "gptq or awq",
    ".weight_packed": "compressed-tensors",
    ".SCB": "bitsandbytes",
    ".weight.absmax": "bitsandbytes",
}


def require_full_precision(source: str, config: Mapping[str, Any], folder: Path | None) -> None:
    """Refuse quantized weights.

    Args:
        source: name of the checkpoint, for errors.
        config: content of its `config.json`.
        folder: its folder, if it is here: its files are looked at too.

    Raises:
        CheckpointError: they are quantized; says how, and what to do.
    """
    method = _stated(config) or (folder and _found(folder))
    if method:
        raise CheckpointError(
            f"{source} has quantized weights ({method}), which are not read: give the model that it was made from, or "
            "dequantize it (model.dequantize() in transformers) and save it again"
        )


def _stated(config: Mapping[str, Any]) -> str | None:
    for key in _CONFIG_KEYS:
        if settings := config.get(key):
            settings = settings if isinstance(settings, dict) else {}
            bits = next((bits for bits in ("8bit", "4bit") if settings.get(f"load_in_{bits}")), None)
            return str(settings.get("quant_method") or (f"bitsandbytes, {bits}" if bits else key))
    return None


def _found(folder: Path) -> str | None:
    for name, method in _FILES.items():
        if (folder / name).is_file():
            return method
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118
                    if found := next((method for end, method in _TENSORS.items() if name.endswith(end)), None):
                        return found
                    if str(tensors.get_slice(name).get_dtype()).startswith("F8"):
                        return "fp8"
        except (OSError, SafetensorError):
            continue  # said, with what to do, where the weights are checked
    return None
