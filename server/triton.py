"""How Triton is started: its command line and environment, for the embedded one and for NVIDIA's own alike."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from repository.addresses import numeric
from repository.shipped import environment_of_others
from server import shared_memory
from server.install import EmbeddedTriton
from server.process import ChildSpec
from server.settings import ServerSettings
from server.tracing import trace_options

# APIs that no part of this project uses and that let a caller map memory or write files of Triton's user.
_CLOSED_APIS = ("shared-memory", "trace", "logging")

# Straight to Triton, whatever http_proxy says.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# Starting a stub and loading a model in it; Triton's default of 30 s is short for a large graph on a slow disk.
_STUB_TIMEOUT_S = 120


@dataclass(frozen=True)
class NativeTriton:
    """A `tritonserver` that brings its own ONNX Runtime backend, as NVIDIA's images do."""

    binary: Path
    backends: Path


def find_native() -> NativeTriton | None:
    """The `tritonserver` on PATH, if an `onnxruntime` backend library lies where it looks for backends."""
    found = shutil.which("tritonserver")
    if found is None:
        return None
    binary = Path(found).resolve()
    for backends in (binary.parent.parent / "backends", Path("/opt/tritonserver/backends")):
        if (backends / "onnxruntime" / "libtriton_onnxruntime.so").is_file():
            return NativeTriton(binary, backends)
    return None


def arguments(settings: ServerSettings, backends: Path, shm_prefix: str, gpu: bool) -> list[str]:
    """Triton's options; `gpu` False keeps it from looking for a driver that is not there."""
    address = numeric(settings.triton_host)
    is_ipv6 = ":" in address
    # Triton hands its addresses on: libevhtp takes no name and knows IPv6 by a prefix, gRPC wants a URL's brackets.
    http_address, grpc_address = (f"ipv6:{address}", f"[{address}]") if is_ipv6 else (address, address)
    threads = settings.triton_http_threads or min(8, max(2, len(os.sched_getaffinity(0))))
    verbose = settings.triton_log_verbose
    key = secrets.token_hex(16)
    options = [
        f"--model-repository={settings.local_copy('triton').absolute()}",
        f"--backend-directory={backends}",
        "--model-control-mode=poll",
        f"--repository-poll-secs={settings.triton_poll_seconds}",
        # A version that cannot be loaded must neither end the server nor make it unready: others are served.
        "--exit-on-error=false",
        "--strict-readiness=false",
        f"--http-address={http_address}",
        f"--http-port={settings.triton_http_port}",
        f"--http-thread-count={threads}",
        f"--grpc-address={grpc_address}",
        f"--grpc-port={settings.triton_grpc_port}",
        f"--metrics-address={http_address}",
        f"--metrics-port={settings.triton_metrics_port}",
        f"--allow-gpu-metrics={str(gpu).lower()}",
        f"--exit-timeout-secs={max(1, int(settings.triton_stop_seconds) - 5)}",
        f"--backend-config=python,shm-region-prefix-name={shm_prefix}",
        f"--backend-config=python,stub-timeout-seconds={_STUB_TIMEOUT_S}",
        f"--log-info={str(verbose > 0).lower()}",
        f"--log-verbose={max(0, verbose - 1)}",
        "--log-format=ISO8601",
        f"--http-restricted-api={','.join(_CLOSED_APIS)}:closed-api-key={key}",
        f"--grpc-restricted-protocol={','.join(_CLOSED_APIS)}:closed-api-key={key}",
    ]
    if not settings.triton_auto_complete:
        options.append("--disable-auto-complete-config")
    if settings.triton_traces:
        options += trace_options(os.environ)
    if not gpu:
        options.append("--pinned-memory-pool-byte-size=0")
    return options


def native_child(settings: ServerSettings, triton: NativeTriton) -> ChildSpec:
    """NVIDIA's Triton as a child for the supervisor."""
    prefix = shared_memory.new_prefix()
    argv = [str(triton.binary), *arguments(settings, triton.backends, prefix, gpu=True)]
    return _child(settings, argv, environment_of_others(), prefix)


def embedded_child(settings: ServerSettings, triton: EmbeddedTriton) -> ChildSpec:
    """The embedded Triton as a child for the supervisor."""
    prefix = shared_memory.new_prefix()
    argv = [str(triton.binary), *arguments(settings, triton.backends, prefix, gpu=triton.gpu)]
    return _child(settings, argv, embedded_environment(triton), prefix)


def embedded_environment(triton: EmbeddedTriton) -> dict[str, str]:
    """The environment in which the binary finds its libraries, and its Python stub the environment's packages."""
    env = {k: v for k, v in environment_of_others().items() if k not in ("PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV")}
    # The stub takes the prefix of its embedded interpreter from the `python3` on PATH.
    env["PATH"] = os.pathsep.join([str(triton.python.parent), env.get("PATH", os.defpath)])
    env["PYTHONPATH"] = str(triton.site_packages)
    env["PYTHONNOUSERSITE"] = "1"
    libraries = [str(triton.libpython), str(triton.libraries), env.get("LD_LIBRARY_PATH", "")]
    env["LD_LIBRARY_PATH"] = ":".join(path for path in libraries if path)
    return env


def is_ready(url: str, timeout_s: float = 1.0) -> bool:
    """True when Triton answers at `url` (its HTTP) and has tried every model once."""
    try:
        with _DIRECT.open(f"{url}/v2/health/ready", timeout=timeout_s) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, http.client.HTTPException, OSError):
        return False


def _child(settings: ServerSettings, argv: list[str], env: dict[str, str], shm_prefix: str) -> ChildSpec:
    url = settings.http_url()
    return ChildSpec(
        name="triton",
        argv=argv,
        env=env,
        grace_s=settings.triton_stop_seconds,
        on_exit=lambda: shared_memory.remove(shm_prefix),
        is_ready=lambda: is_ready(url),
        ready_message=f"ready at {url}",
        port=settings.triton_http_port,
    )
