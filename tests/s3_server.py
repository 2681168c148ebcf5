"""A real S3 server on a free port of this machine: moto's, in a process of its own, with its objects in memory."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3

from benchmarks.measure.ports import free_ports
from tests.waiting import wait_until

BUCKET = "models"
SECRET = "kept-secret-0123456789"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key-of-the-test", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-west-1"}


class S3Server:
    """The running server and a client of it that no code of this project has touched."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = f"s3://127.0.0.1:{port}/{BUCKET}"
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            region_name="us-east-1",
        )

    def repository(self, name: str) -> str:
        """The address of a repository of its own in the bucket."""
        return f"{self.address}/{name}"

    def keys(self, prefix: str) -> list[str]:
        """Every key below a prefix."""
        return [item["Key"] for item in self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]

    def read(self, key: str) -> bytes:
        content: bytes = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def delete(self, key: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=key)


@contextlib.contextmanager
def s3_server(log: Path) -> Iterator[S3Server]:
    """The server, with an empty bucket."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        server = S3Server(port)

        def has_bucket() -> bool:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(Exception):
                server.client.create_bucket(Bucket=BUCKET)
                return True
            return False

        wait_until(has_bucket, 15, f"the S3 server answers, see {log}")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)


@contextlib.contextmanager
def environment(settings: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for a while."""
    before = dict(os.environ)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
