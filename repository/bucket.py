"""Objects under one prefix of an S3 bucket: list, read, write and delete them, with errors that say what to do."""

import contextlib
import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from repository.location import S3Location
from repository.manifest import FileDigest, RepositoryError
from repository.spelling import as_called

LARGEST_PUT_BYTES = 5 * 2**30
"""S3 takes larger objects only in parts."""

SHA256 = "sha256"
"""Metadata of each file of a version: what it was when it was published, for readers that do not read it whole."""

_REASONS = {
    "AccessDenied": "access denied: these credentials may not do that",
    "403": "access denied: these credentials may not do that",
    "NoSuchBucket": "there is no such bucket",
    "NoSuchKey": "is missing",
    "404": "is missing",
    "InvalidAccessKeyId": "the server does not know this access key",
    "SignatureDoesNotMatch": "the secret key is wrong",
    "ExpiredToken": "the credentials have expired",
}


class NotChangedError(RepositoryError):
    """A conditional write was refused: somebody else was faster."""


class AwayError(RepositoryError):
    """S3 cannot be asked now, or not with these credentials; says nothing of what lies there."""


@dataclass(frozen=True)
class StoredObject:
    """One object as a listing shows it."""

    name: str
    """Its key below the prefix."""
    size_bytes: int
    etag: str


class Bucket:
    """The objects below a location. Credentials, region and endpoint come from AWS_* variables or AWS's own files."""

    def __init__(self, location: S3Location) -> None:
        self.location = location
        self._client = _client(location.endpoint)

    def at(self, location: S3Location) -> "Bucket":
        """The objects below another location of the same endpoint, through the same client."""
        other = copy.copy(self)
        other.location = location
        return other

    def list(self, below: str = "") -> list[StoredObject]:
        """Every object whose name begins with `below`."""
        prefix = self._key(below)
        with self._explained(below):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.location.bucket, Prefix=prefix)
            found = [item for page in pages for item in page.get("Contents", [])]
        cut = len(self._key(""))
        return [StoredObject(item["Key"][cut:], item["Size"], item["ETag"]) for item in found]

    def read(self, name: str) -> tuple[bytes, str]:
        """Content and ETag of a small object."""
        with self._explained(name):
            answer = self._client.get_object(Bucket=self.location.bucket, Key=self._key(name))
            return answer["Body"].read(), answer["ETag"]

    def chunks(self, name: str) -> Iterator[bytes]:
        """The content of an object of any size, piece by piece."""
        with self._explained(name):
            answer = self._client.get_object(Bucket=self.location.bucket, Key=self._key(name))
            yield from answer["Body"].iter_chunks(2**20)

    def published_digest(self, name: str) -> FileDigest | None:
        """What the object says it is without being read; None if it does not say."""
        with self._explained(name):
            answer = self._client.head_object(Bucket=self.location.bucket, Key=self._key(name))
        sha256 = answer["Metadata"].get(SHA256, "").lower()
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            return None  # somebody else's, in another form
        return FileDigest(sha256=sha256, size_bytes=answer["ContentLength"])

    def write(self, name: str, content: bytes, **condition: str) -> None:
        """Write a small object. `IfNoneMatch="*"`: only a new one; `IfMatch=ETAG`: only in place of that one.

        Raises:
            NotChangedError: the condition does not hold.
        """
        with self._explained(name):
            self._client.put_object(Bucket=self.location.bucket, Key=self._key(name), Body=content, **condition)

    def upload(self, path: Path, name: str, digest: FileDigest) -> None:
        """Copy a file in; it is there whole or not at all."""
        place = {"Bucket": self.location.bucket, "Key": self._key(name)}
        metadata = {SHA256: digest.sha256}
        with self._explained(name):
            if digest.size_bytes > LARGEST_PUT_BYTES:
                self._client.upload_file(Filename=str(path), ExtraArgs={"Metadata": metadata}, **place)
                return
            with path.open("rb") as stream:
                # S3 computes the digest as well, and refuses what came over damaged.
                self._client.put_object(Body=stream, Metadata=metadata, ChecksumAlgorithm="SHA256", **place)

    def delete(self, name: str) -> None:
        """Delete one object; one that is not there is no mistake."""
        with self._explained(name):
            self._client.delete_object(Bucket=self.location.bucket, Key=self._key(name))

    def _key(self, name: str) -> str:
        return f"{self.location.prefix}/{name}" if self.location.prefix else name

    @contextlib.contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn the library's errors into one line; its own text may hold requests, and with them a signature."""
        from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError
        from botocore.parsers import ResponseParserError

        place = f"{self.location}/{name}".rstrip("/")
        try:
            yield
        except NoCredentialsError:
            raise AwayError(f"{place}: no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY") from None
        except ClientError as error:
            code = str(error.response["Error"].get("Code", "unknown"))
            if code in ("PreconditionFailed", "ConditionalRequestConflict", "412", "409"):
                raise NotChangedError(f"{place} was changed by somebody else: try again") from None
            kind = RepositoryError if code in ("NoSuchKey", "404") else AwayError
            raise kind(f"{place}: {_REASONS.get(code, f'the server answers {code}')}") from None
        except ResponseParserError:
            raise AwayError(f"{place}: what answers there is no S3 server") from None
        except BotoCoreError as error:
            raise AwayError(f"{place} cannot be reached ({type(error).__name__})") from None


def _client(endpoint: str | None) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError:
        raise RepositoryError(as_called("s3:// needs boto3: pip install '.[s3]'")) from None
    config = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"mode": "standard", "total_max_attempts": 3},
        # Other S3 servers have no host name for each bucket.
        s3={"addressing_style": "path"} if endpoint else {},
    )
    try:
        session = boto3.session.Session()
        return session.client(
            "s3", endpoint_url=endpoint, config=config, region_name=session.region_name or "us-east-1"
        )
    except (BotoCoreError, ValueError) as error:
        raise AwayError(f"the AWS settings cannot be used ({type(error).__name__}): see AWS_* and ~/.aws") from None
