"""What computes is named as far as it is known, and is unknown elsewhere."""

import asyncio
import json
from pathlib import Path

import pytest

from benchmarks.measure.ports import free_ports
from gateway.receipts.kernels import cpu_flags, kernels_of_triton, provider_of
from gateway.settings import GatewaySettings
from gateway.triton import TritonClient


@pytest.mark.parametrize(
    ("config", "provider"),
    [
        ({"instance_group": [{"kind": "KIND_CPU"}]}, "cpu"),
        ({"instance_group": [{"kind": "KIND_GPU"}, {"kind": "KIND_GPU"}]}, "cuda"),
        ({"instance_group": [{"kind": "KIND_GPU"}, {"kind": "KIND_CPU"}]}, "unknown"),
        ({"instance_group": []}, "unknown"),
        (
            {
                "instance_group": [{"kind": "KIND_GPU"}],
                "optimization": {"execution_accelerators": {"gpu_execution_accelerator": [{"name": "tensorrt"}]}},
            },
            "tensorrt",
        ),
    ],
)
def test_the_provider_is_read_off_the_config(config: dict[str, object], provider: str) -> None:
    assert provider_of(json.dumps(config).encode()) == provider


@pytest.mark.parametrize("config", [b"", b"[]", b"{}", b'{"instance_group": [1]}', b'{"error": "unknown model"}'])
def test_what_is_no_config_is_no_provider(config: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        provider_of(config)


def test_only_flags_that_choose_kernels_are_named(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nflags\t\t: fpu vme avx2 avx512f ht avx512_vnni avx\nflags\t\t: avx\n")
    assert cpu_flags(cpuinfo) == "avx avx2 avx512_vnni avx512f"
    cpuinfo.write_text("processor\t: 0\nFeatures\t: fp asimd i8mm crc32\n")
    assert cpu_flags(cpuinfo) == "asimd i8mm"
    assert cpu_flags(tmp_path / "nowhere") == "unknown"


def test_of_a_triton_that_is_away_or_elsewhere_nothing_is_claimed() -> None:
    (port,) = free_ports(1)

    async def asked(host: str) -> list[str]:
        settings = GatewaySettings(triton_host=host, triton_http_port=port, triton_onnxruntime="")
        async with TritonClient("127.0.0.1", port, "classifier") as triton:
            found = await kernels_of_triton(triton, settings)
        return [found.onnxruntime, found.provider, found.cpu]

    assert asyncio.run(asked("triton")) == ["unknown", "unknown", "unknown"]
    assert asyncio.run(asked("127.0.0.1")) == ["unknown", "unknown", cpu_flags()]
    assert asyncio.run(asked("localhost"))[2] == cpu_flags()
