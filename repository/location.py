"""Where a model repository is: a folder, or a place in S3 as Triton writes it, `s3://[host:port/]bucket/prefix`."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

SCHEME = "s3://"


@dataclass(frozen=True)
class S3Location:
    """A bucket, a prefix in it, and the endpoint where it is not Amazon's or the one that AWS_* variables name."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None

    @classmethod
    def parse(cls, text: str) -> "S3Location":
        """Read `s3://bucket/prefix`, `s3://host:port/bucket/prefix` or `s3://https://host:port/bucket/prefix`.

        Raises:
            ValueError: it is neither. The message does not repeat the text, which may hold a key.
        """
        rest = text.removeprefix(SCHEME)
        if "@" in rest or "?" in rest:
            raise ValueError("credentials do not belong in the address: set AWS_ACCESS_KEY_ID and its like")
        scheme = re.match(r"https?://", rest)
        parts = [part for part in (rest[scheme.end() :] if scheme else rest).split("/") if part]
        endpoint = None
        if scheme or (parts and ":" in parts[0]):
            endpoint = (scheme.group() if scheme else "http://") + (parts.pop(0) if parts else "")
        if not parts or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", parts[0]) or {".", ".."} & set(parts):
            raise ValueError("an S3 repository is written s3://bucket/prefix or s3://host:port/bucket/prefix")
        return cls(parts[0], "/".join(parts[1:]), endpoint)

    def __str__(self) -> str:
        host = "" if self.endpoint is None else self.endpoint.removeprefix("http://") + "/"
        return f"{SCHEME}{host}{'/'.join(part for part in (self.bucket, self.prefix) if part)}"

    def __truediv__(self, name: str) -> "S3Location":
        return S3Location(self.bucket, f"{self.prefix}/{name}".lstrip("/"), self.endpoint)


def parse_location(value: object) -> object:
    """Text that begins with `s3://` as an S3Location; everything else as it is."""
    if isinstance(value, str) and value.startswith(SCHEME):
        return S3Location.parse(value)
    return value


RepositoryLocation = Annotated[Path | S3Location, BeforeValidator(parse_location)]
