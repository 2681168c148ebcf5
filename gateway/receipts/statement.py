"""What does a receipt state? The fields of its payload, and how an answer's are put together."""

import hashlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, ValidationError

from gateway.receipts.errors import NoReceiptError
from gateway.receipts.sealed import canonical
from repository.inference import Float32Array
from repository.manifest import Manifest, StrictModel, first_mistake

UNKNOWN = "unknown"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Kernels(StrictModel):
    """What computed: the same here and elsewhere means the same bits; each is `unknown` where nobody can say."""

    onnxruntime: str = Field(UNKNOWN, description="Version of ONNX Runtime in Triton.")
    provider: str = Field(UNKNOWN, description="What it computes on: cpu, cuda or tensorrt.")
    cpu: str = Field(UNKNOWN, description="Flags of the processor that choose kernels, as in /proc/cpuinfo.")


class Statement(StrictModel):
    """The payload of a receipt."""

    receipt: Literal[1] = Field(1, description="Version of this form.")
    time: str = Field(description="When it was signed, by the gateway's clock, in UTC.")
    request_id: str = Field(description="As in the header X-Request-ID and in the gateway's log.")
    model: str
    version: int = Field(ge=1, description="Number of the version that answered.")
    version_digest: Sha256 = Field(description="Of the version's manifest, which holds the digests of its files.")
    texts: Literal[1, 2] = Field(description="2 for a pair of texts.")
    input_digest: Sha256 = Field(description="HMAC-SHA256 of the text, with the salt behind the receipt as its key.")
    tokens: int = Field(ge=1, description="Tokens that the model read.")
    cut_tokens: int = Field(ge=0, description="Tokens past the model's limit.")
    options: dict[str, Any] = Field(description="What the request asked for, defaults included.")
    threshold: float | list[float] | None = Field(
        description="Least score of a label, or of each by itself; of a model that answers several."
    )
    answered_by: Literal["model", "student"]
    labels: list[str] = Field(min_length=1, description="All labels, in the order of the logits.")
    logits: list[Annotated[str, Field(pattern=r"^[0-9a-f]{8}$")]] = Field(
        min_length=1, description="The bits of each float32, in hex, the sign's first; a student's are calibrated."
    )
    answer: Any = Field(description="The answer as the caller got it.")
    computed_by: Kernels

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read a payload. Raises NoReceiptError: it is none."""
        try:
            return cls.model_validate_json(payload)
        except ValidationError as error:
            raise NoReceiptError(
                f"this is no receipt that this release reads ({first_mistake(error)}): it may be of a newer gateway"
            ) from None

    def payload(self) -> bytes:
        """What is signed."""
        return canonical(self.model_dump(mode="json"))

    def logit_values(self) -> Float32Array:
        """The logits `[labels]`."""
        return np.array([struct.unpack(">f", bytes.fromhex(bits))[0] for bits in self.logits], dtype=np.float32)


def bits_of(logits: Float32Array) -> list[str]:
    """The bits of each logit of `[labels]`, in hex, the most significant first: `3f800000` is 1."""
    return [f"{bits:08x}" for bits in np.ascontiguousarray(logits, dtype=np.float32).view(np.uint32).tolist()]


def now() -> str:
    """The time in UTC, to the millisecond, as RFC 3339 writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def version_digest(manifest: Manifest) -> str:
    """SHA-256 of what a manifest says, in hex; the manifest has the digest of each file of the version.

    Not of the file's bytes: a version that is published once more, for a roll-back or into S3, is the same one, and so
    is one whose manifest a later release wrote again with fields that are not in use.
    """
    stated = manifest.model_dump(mode="json", exclude={"republished_from"}, exclude_defaults=True)
    return hashlib.sha256(canonical(stated)).hexdigest()


def best_label(logits: Sequence[float] | Float32Array, labels: Sequence[str]) -> str:
    """The label of the largest logit."""
    return labels[int(np.argmax(logits))]
