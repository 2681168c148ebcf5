"""Every option of the embedded Triton: one typed class, each field also an environment variable of the same name."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from repository.addresses import Host, url_of
from repository.settings import LocationSettings
from repository.shipped import triton_environment
from server.ports import DEFAULT_PORTS


class ServerSettings(LocationSettings):
    """Read from the environment: the field `triton_http_port` is the variable `TRITON_HTTP_PORT`, and so on."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True, protected_namespaces=())

    triton_kind: Literal["auto", "embedded", "native"] = Field(
        "auto",
        description="Which Triton runs: `native` is a `tritonserver` on PATH with its own ONNX Runtime backend, "
        "`embedded` the one that is installed from PyPI, `auto` the native one where it is found.",
    )
    triton_host: Host = Field("127.0.0.1", description="Address that Triton listens on, for all three ports.")
    triton_http_port: int = Field(
        DEFAULT_PORTS["TRITON_HTTP_PORT"], ge=1, le=65535, description="Triton's HTTP port, the one the gateway calls."
    )
    triton_grpc_port: int = Field(DEFAULT_PORTS["TRITON_GRPC_PORT"], ge=1, le=65535, description="Triton's gRPC port.")
    triton_metrics_port: int = Field(
        DEFAULT_PORTS["TRITON_METRICS_PORT"], ge=1, le=65535, description="Port of Triton's Prometheus metrics."
    )
    triton_http_threads: int = Field(
        0, ge=0, le=256, description="Threads that read and write Triton's HTTP; 0 means one a core, from 2 to 8."
    )
    triton_poll_seconds: int = Field(
        1, ge=1, description="How often Triton looks for new versions in the model repository, in seconds."
    )
    triton_auto_complete: bool = Field(
        False,
        description="Let Triton fill in what a `config.pbtxt` leaves out (inputs, outputs). Every load of a version "
        "then takes about two seconds longer; the configurations this project writes are complete without.",
    )
    triton_env: Path = Field(
        triton_environment(),
        description="Folder that the embedded Triton is installed in; an installed `text-classifier` has it in the "
        "user's cache, `~/.cache/text-classifier`.",
    )
    triton_python: Path | None = Field(
        None,
        description="Python interpreter that the embedded Triton uses (3.11, 3.12 or 3.13); "
        "the one that starts it when empty.",
    )
    triton_gpu: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether the embedded Triton gets ONNX Runtime's CUDA build (a download of some 2 GB): "
        "`auto` means where `nvidia-smi` lists a GPU.",
    )
    triton_log_verbose: int = Field(
        0, ge=0, le=9, description="Triton's log: 0 shows warnings and errors, 1 also loads, 2 and more its internals."
    )
    triton_traces: bool = Field(
        False,
        description="Let Triton add spans of its own to traced requests, and send them where "
        "`OTEL_EXPORTER_OTLP_ENDPOINT` says, by OTLP over HTTP.",
    )
    triton_stop_seconds: float = Field(
        15, gt=0, description="How long Triton may finish its requests when it is stopped, in seconds."
    )

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        ports = list(self.ports().values())
        if len(set(ports)) < len(ports):
            raise ValueError("TRITON_HTTP_PORT, TRITON_GRPC_PORT and TRITON_METRICS_PORT must be three different ports")
        return self

    def ports(self) -> dict[str, int]:
        """Triton's ports by the setting that names them."""
        return {
            "TRITON_HTTP_PORT": self.triton_http_port,
            "TRITON_GRPC_PORT": self.triton_grpc_port,
            "TRITON_METRICS_PORT": self.triton_metrics_port,
        }

    def python(self) -> str:
        """The interpreter that the embedded environment is made from."""
        chosen = os.fspath(self.triton_python or sys.executable)
        return shutil.which(chosen) or chosen

    def http_url(self) -> str:
        """Where a client on this machine reaches Triton's HTTP."""
        return url_of(self.triton_host, self.triton_http_port)
