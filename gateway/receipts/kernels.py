"""What computes the answers: which ONNX Runtime, on what, with which instructions? Asked of Triton, once a version.

The logits of a version are the same bits wherever all three are the same. Where they are not, a last bit may differ.
"""

import asyncio
import ipaddress
import json
from pathlib import Path

from gateway.errors import GatewayError
from gateway.receipts.statement import UNKNOWN, Kernels
from gateway.settings import GatewaySettings
from gateway.triton import TritonClient

CPUINFO = Path("/proc/cpuinfo")
ASKED_S = 1.0
"""How long Triton may take to say what a model runs on; an answer waits for it."""
_ON_X86 = {"avx", "avx2", "avx_vnni", "avx_vnni_int8", "f16c", "fma", "sse4_1", "amx_bf16", "amx_int8", "amx_tile"}
_AVX512 = {f"avx512{name}" for name in ("f", "bw", "dq", "vl", "_bf16", "_fp16", "_vnni")}
_ON_ARM = {"asimd", "asimddp", "asimdhp", "bf16", "fphp", "i8mm", "sve", "svei8mm"}
CHOOSING = frozenset(_ON_X86 | _AVX512 | _ON_ARM)
"""Flags by which ONNX Runtime's kernels for processors are chosen: `core/mlas/lib/platform.cpp` in its source."""


async def kernels_of_triton(triton: TritonClient, settings: GatewaySettings) -> Kernels:
    """What the model is computed with, as far as it can be known from here.

    A processor's flags are known of a Triton on this machine alone; its ONNX Runtime, where the settings say so.
    """
    try:
        async with asyncio.timeout(ASKED_S):
            provider = provider_of(await triton.model_config())
    except (GatewayError, TimeoutError, ValueError):
        provider = UNKNOWN
    return Kernels(
        onnxruntime=settings.triton_onnxruntime or UNKNOWN,
        provider=provider,
        cpu=cpu_flags() if _is_this_machine(settings.triton_host) else UNKNOWN,
    )


def _is_this_machine(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


def provider_of(config: bytes) -> str:
    """What a model runs on, from its config as Triton gives it in JSON.

    Raises:
        ValueError: it is no config.
    """
    try:
        parsed = json.loads(config)
        kinds = {group.get("kind") for group in parsed["instance_group"]}
        accelerators = parsed.get("optimization", {}).get("execution_accelerators", {})
        named = {each["name"].lower() for each in accelerators.get("gpu_execution_accelerator", [])}
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("no config of a model") from error
    if kinds == {"KIND_CPU"}:
        return "cpu"
    if kinds == {"KIND_GPU"}:
        return "tensorrt" if "tensorrt" in named else "cuda"
    return UNKNOWN


def cpu_flags(cpuinfo: Path = CPUINFO) -> str:
    """Those of this machine's processor that choose kernels, sorted, with blanks between them."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return UNKNOWN
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return " ".join(sorted(CHOOSING & set(value.split()))) or UNKNOWN
    return UNKNOWN
