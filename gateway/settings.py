"""The gateway's settings, each an environment variable of the same name in capitals."""

from pydantic import Field, SecretStr

from repository.addresses import Host
from repository.settings import RepositorySettings


class GatewaySettings(RepositorySettings):
    """Settings of `python -m gateway`."""

    gateway_host: Host = Field("127.0.0.1", description="Address the gateway listens on.")
    gateway_port: int = Field(8000, ge=1, le=65535, description="Port the gateway listens on.")
    workers: int = Field(1, ge=1, le=64, description="Gateway processes that share the port.")
    triton_host: Host = Field("127.0.0.1", description="Host of Triton.")
    triton_http_port: int = Field(8100, ge=1, le=65535, description="Port of Triton's HTTP endpoint.")
    model_version: int | None = Field(
        None, ge=1, description="Answer with this version alone, whatever else Triton serves; the newest when empty."
    )
    deadline_ms: int = Field(5000, ge=1, description="A request not answered after this many milliseconds gets 504.")
    max_sentence_bytes: int = Field(131_072, ge=1, description="Longest sentence taken, in bytes of UTF-8.")
    max_sentences: int = Field(1024, ge=1, description="Most sentences of one request.")
    max_body_bytes: int = Field(4_194_304, ge=1, description="Longest request body taken, in bytes.")
    max_waiting: int = Field(
        2048, ge=1, description="Most sentences that wait for Triton; a request past that gets 503 at once."
    )
    batch_tokens: int = Field(
        256, ge=1, description="Most tokens, padding included, in one call to Triton; on a GPU some 16384."
    )
    batch_sentences: int = Field(
        64, ge=1, description="Most sentences in one call to Triton; at most `max_batch_size` in config.pbtxt."
    )
    triton_calls: int = Field(
        3, ge=1, description="Calls to Triton under way at once, for each worker; one more than Triton has cores pays."
    )
    cascade: bool = Field(
        True, description="Let the student of a version that has one answer the sentences that it is sure of."
    )
    audit_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Share of the sentences asked of a version with a student that are looked at: those that the "
        "student answered are asked of the model, too, in the background.",
    )
    shadow_share: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of the sentences that are mirrored to a candidate, if there is one, after they were "
        "answered and in moments in which no other is; 0 mirrors none.",
    )
    head_timeout_seconds: float = Field(
        20, gt=0, description="How long a caller may take for a request line and headers; then it gets 408."
    )
    body_timeout_seconds: float = Field(60, gt=0, description="How long a caller may take for a body.")
    send_timeout_seconds: float = Field(
        60, gt=0, description="How long a caller may leave an answer unread before its connection is closed."
    )
    keep_alive_seconds: float = Field(
        75,
        gt=0,
        description="How long a connection may rest between two requests; longer than a proxy in front keeps its own.",
    )
    max_connections: int | None = Field(
        None,
        ge=1,
        description="Most connections of one gateway process; past that, who has not sent a whole request gives way. "
        "When empty, some less than the limit on open files, and at most 10000.",
    )
    threshold: float = Field(
        0.5, ge=0, le=1, description="Least score of a label in the answer of a multi-label model without `top_k`."
    )
    version_poll_ms: int = Field(500, ge=10, description="How often Triton is asked which versions are ready.")
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated keys; a caller must send one as a bearer token. Open if empty.",
    )
    cors_origins: str = Field(
        "", description="Comma-separated origins whose pages may call the gateway from a browser; `*` for all."
    )
    reports: bool = Field(
        True, description="Serve each version's report, a page that may hold sentences of the data it was trained on."
    )
    log_requests: bool = Field(True, description="Write one line of JSON a request to standard output.")
    log_sentences: bool = Field(False, description="Put the sentences into these lines; they may be personal data.")
