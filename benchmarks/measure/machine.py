"""What machine this is: processor, cores, memory, graphics card, and the versions of what is measured."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

PACKAGES = ("onnxruntime", "onnxruntime-gpu", "tokenizers", "transformers", "torch", "fastapi", "uvicorn")
INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8")


@dataclass(frozen=True)
class Machine:
    """Where figures come from."""

    processor: str
    cores: int
    """Cores that this process may use."""
    memory_gb: float
    instructions: list[str]
    """Those that matter here, as Linux names them."""
    gpu: str | None
    system: str
    packages: dict[str, str]

    @property
    def line(self) -> str:
        """In one line."""
        gpu = f", {self.gpu}" if self.gpu else ", no GPU"
        sets = f" ({', '.join(self.instructions)})" if self.instructions else ""
        return f"{self.cores} cores of {self.processor}{sets}, {self.memory_gb:.0f} GB{gpu}, {self.system}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def this_machine() -> Machine:
    """Read off the system."""
    fields = _processor_fields()
    flags = set(fields.get("flags", "").split())
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return Machine(
        processor=fields.get("model name", platform.machine()),
        cores=len(os.sched_getaffinity(0)),
        memory_gb=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        instructions=[name for name in INSTRUCTIONS if name in flags],
        gpu=_gpu(),
        system=f"{platform.system()} {platform.release().split('-')[0]}, Python {platform.python_version()}",
        packages=versions,
    )


def _processor_fields() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _gpu() -> str | None:
    if shutil.which("nvidia-smi") is None:
        return None
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        found = subprocess.run(query, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.splitlines()[0].strip() if found.returncode == 0 and found.stdout.strip() else None
