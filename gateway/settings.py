"""The gateway's settings, each an environment variable of the same name in capitals."""

from pydantic import Field

from repository.settings import RepositorySettings


class GatewaySettings(RepositorySettings):
    """Settings of `python -m gateway`."""

    gateway_host: str = Field("127.0.0.1", description="Address the gateway listens on.")
    gateway_port: int = Field(8000, ge=1, le=65535, description="Port the gateway listens on.")
    triton_host: str = Field("127.0.0.1", description="Host of Triton.")
    triton_http_port: int = Field(8100, ge=1, le=65535, description="Port of Triton's HTTP endpoint.")
    deadline_ms: int = Field(5000, ge=1, description="A request not answered after this many milliseconds gets 504.")
    max_sentence_bytes: int = Field(131_072, ge=1, description="Longest sentence taken, in bytes of UTF-8.")
    version_poll_ms: int = Field(500, ge=10, description="How often Triton is asked which versions are ready.")

    @property
    def triton_address(self) -> str:
        """`host:port` of Triton's HTTP endpoint."""
        return f"{self.triton_host}:{self.triton_http_port}"
