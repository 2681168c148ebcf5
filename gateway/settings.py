"""The gateway's settings, each an environment variable of the same name in capitals."""

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, field_validator, model_validator

from gateway.dialects.names import DIALECTS, chosen
from gateway.windows.choices import LONG_TEXT_MEANING, WINDOW_JOIN_MEANING, LongText, WindowJoin
from repository.addresses import Host
from repository.location import SCHEME, RepositoryLocation, S3Location
from repository.names import is_model_name, is_version_name
from repository.settings import RepositorySettings

EVERY = "*"
LONGEST_UNKNOWN = 200
"""Characters of the label that is answered where none is sure enough."""


class GatewaySettings(RepositorySettings):
    """Settings of `python -m gateway`."""

    gateway_host: Host = Field("127.0.0.1", description="Address the gateway listens on.")
    gateway_port: int = Field(8000, ge=1, le=65535, description="Port the gateway listens on.")
    grpc_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port for callers by gRPC, at the same address; needs the extra `grpc`. Off if empty.",
    )
    workers: int = Field(1, ge=1, le=64, description="Gateway processes that share the port.")
    triton_host: Host = Field("127.0.0.1", description="Host of Triton.")
    triton_http_port: int = Field(8100, ge=1, le=65535, description="Port of Triton's HTTP endpoint.")
    model_names: str = Field(
        "",
        description="Comma-separated models to serve; the first answers where a request names none. `*` for every "
        "model in the repository, as they come and go, MODEL_NAME first. MODEL_NAME alone when empty.",
    )
    model_version: int | None = Field(
        None,
        ge=1,
        description="Answer with this version alone, whatever else Triton serves; the newest when empty. Of several "
        "models it is the first one's.",
    )
    model_versions: str = Field(
        "", description="The same for several models: `topics=7,language=3`; the newest of those that are not named."
    )
    deadline_ms: int = Field(5000, ge=1, description="A request not answered after this many milliseconds gets 504.")
    max_sentence_bytes: int = Field(131_072, ge=1, description="Longest sentence taken, in bytes of UTF-8.")
    max_sentences: int = Field(1024, ge=1, description="Most sentences of one request.")
    long_text: LongText = Field("truncate", description=f"{LONG_TEXT_MEANING} For requests that do not say it.")
    window_overlap: int = Field(
        64, ge=0, description="Tokens that a window of a long text has in common with the next; at most half a window."
    )
    window_join: WindowJoin = Field("mean", description=f"{WINDOW_JOIN_MEANING} For requests that do not say it.")
    max_windows: int = Field(
        128, ge=2, description="Most windows of one request, all its long texts together; past that it gets 413."
    )
    max_body_bytes: int = Field(4_194_304, ge=1, description="Longest request body taken, in bytes.")
    max_waiting: int = Field(
        2048,
        ge=1,
        description="Most sentences that wait for Triton, of each model; a request past that gets 503 at once.",
    )
    batch_tokens: int = Field(
        256, ge=1, description="Most tokens, padding included, in one call to Triton; on a GPU some 16384."
    )
    batch_sentences: int = Field(
        64, ge=1, description="Most sentences in one call to Triton; at most `max_batch_size` in config.pbtxt."
    )
    triton_calls: int = Field(
        3,
        ge=1,
        description="Calls to Triton under way at once, for each worker; one more than Triton has cores pays. Several "
        "models share them, and each may always have one; one to a student does not count.",
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
        "When empty, some less than the limit on open files, and at most 10000. With GRPC_PORT as many again by gRPC, "
        "and half as many of each when empty.",
    )
    threshold: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Least score of a label in the answer of a multi-label model without `top_k`. When it is set, it "
        "takes the place of the thresholds that a version may have of its own.",
    )
    calibrated: bool = Field(
        False,
        description="Answer with calibrated scores where the version has them and a request does not say otherwise.",
    )
    min_score: float | None = Field(
        None,
        ge=0,
        le=1,
        description="Least score of any label in an answer, unless a request says another; no bound when empty. "
        "Other servers' clients get every label all the same.",
    )
    unknown_label: str = Field(
        "",
        max_length=LONGEST_UNKNOWN,
        description="Label that is answered where none reaches `MIN_SCORE`, or its threshold, unless a request says "
        "another; no label when empty. Other servers' clients do not get it.",
    )
    version_poll_ms: int = Field(500, ge=10, description="How often Triton is asked which versions are ready.")
    api_keys: SecretStr = Field(
        SecretStr(""),
        description="Comma-separated keys; a caller must send one as a bearer token. Open if empty.",
    )
    receipt_key: Path | None = Field(
        None,
        description="File with the Ed25519 key that receipts are signed with, which its owner alone may read; "
        "`python -m gateway receipt-key` makes one. Without it no receipts are given.",
    )
    triton_onnxruntime: str = Field(
        "",
        pattern=r"^[0-9A-Za-z.+-]{0,40}$",
        description="Version of ONNX Runtime in Triton, for receipts; `make up` says it to its gateway by itself.",
    )
    cors_origins: str = Field(
        "", description="Comma-separated origins whose pages may call the gateway from a browser; `*` for all."
    )
    dialects: str = Field(
        "all",
        description=f"Which other servers' clients are answered: `all`, `none`, or some of {', '.join(DIALECTS)}, with "
        "commas between.",
    )
    reports: bool = Field(
        True, description="Serve each version's report, a page that may hold sentences of the data it was trained on."
    )
    watch: bool = Field(
        False,
        description="Count answers by label and score, sentences by length, script and unknown tokens, and tell how "
        "far the last ones are from those that the version was trained on.",
    )
    watch_window_minutes: float = Field(
        60, ge=0.01, le=10_080, description="How many minutes of sentences are held against the version's profile."
    )
    feedback: RepositoryLocation | None = Field(
        None,
        description="Folder, or `s3://bucket/prefix`, that keeps what `POST /feedback` says of answers, and sentences "
        "where they are kept; off when empty.",
    )
    feedback_sentences: bool = Field(
        False, description="Keep the sentence with feedback to it, to train on; they may be personal data."
    )
    feedback_answers: int = Field(
        100_000, ge=1, le=10_000_000, description="Answers that feedback can be given to: the last so many."
    )
    feedback_days: float = Field(
        30, ge=0.01, le=3650, description="Days after which an answer is forgotten, and feedback to it refused."
    )
    feedback_max_mb: int = Field(
        1000, ge=1, description="Most feedback that is kept in the folder, in MB; past that it is refused with 507."
    )
    feedback_fsync: bool = Field(
        True, description="Confirm feedback once it is on the disk; else a machine that stops may lose the last."
    )
    feedback_upload_seconds: float = Field(
        30, gt=0, description="How often feedback is brought to S3, where `FEEDBACK` is there."
    )
    jobs: Path | None = Field(
        None,
        description="Folder that keeps what `POST /jobs` brings, and what is answered; jobs are off when empty. Texts "
        "and answers may be personal data.",
    )
    jobs_max_bytes: int = Field(67_108_864, ge=1, description="Longest table that a job takes, in bytes, unpacked.")
    jobs_max_mb: int = Field(
        2000, ge=1, description="Most that all jobs take of the disk, in MB; past that new ones are refused with 507."
    )
    jobs_kept: int = Field(
        100, ge=1, le=10_000, description="Most jobs that are kept, whatever their state; past that, 507."
    )
    jobs_keep_hours: float = Field(
        24, ge=0.001, le=87_600, description="Hours after its end at which a job is deleted, with its result."
    )
    jobs_running: int = Field(
        1, ge=1, le=64, description="Most jobs that run at a time, of all workers that share the folder; each runs one."
    )
    jobs_sources: str = Field(
        "",
        description="Comma-separated prefixes in S3, such as `s3://bucket/tables`, below which a job may name a table "
        "to be fetched with this gateway's credentials; none when empty.",
    )
    log_requests: bool = Field(True, description="Write one line of JSON a request to standard output.")
    log_sentences: bool = Field(False, description="Put the sentences into these lines; they may be personal data.")

    @property
    def every_model(self) -> bool:
        """Whether all models of the repository are served."""
        return self.model_names.strip() == EVERY

    def named_models(self) -> list[str]:
        """The models that the settings name, the default first."""
        return listed(self.model_names) if self.model_names.strip() and not self.every_model else [self.model_name]

    def for_model(self, name: str) -> "GatewaySettings":
        """The settings as they are for one of several models."""
        pinned = _pins(self.model_versions).get(name)
        if pinned is None and name == self.named_models()[0]:
            pinned = self.model_version
        return self.model_copy(update={"model_name": name, "model_version": pinned})

    @field_validator("jobs_sources")
    @classmethod
    def _check_sources(cls, text: str) -> str:
        for prefix in listed(text):
            if not prefix.startswith(SCHEME):
                raise ValueError(f"{prefix!r} is not like s3://bucket/prefix")
            S3Location.parse(prefix)
        return text

    @model_validator(mode="after")
    def _check_dialects(self) -> Self:
        chosen(self.dialects)
        return self

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.grpc_port == self.gateway_port:
            raise ValueError(f"GRPC_PORT and GATEWAY_PORT are both {self.grpc_port}: give one of them another port")
        return self

    @model_validator(mode="after")
    def _check_models(self) -> Self:
        names = self.named_models()
        for name in names:
            if not is_model_name(name):
                raise ValueError(f"MODEL_NAMES: {name!r} cannot be a model's name")
        if len(set(names)) != len(names):
            raise ValueError("MODEL_NAMES names a model twice")
        unknown = set() if self.every_model else set(_pins(self.model_versions)) - set(names)
        if unknown:
            raise ValueError(f"MODEL_VERSIONS pins a model that is not served: {', '.join(sorted(unknown))}")
        return self


def listed(text: str) -> list[str]:
    """The parts of a comma-separated setting."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _pins(text: str) -> dict[str, int]:
    pins = {}
    for part in listed(text):
        name, _, number = part.partition("=")
        if not is_version_name(number):
            raise ValueError(f"MODEL_VERSIONS: {part!r} is not like topics=7")
        pins[name] = int(number)
    return pins
