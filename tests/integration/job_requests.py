"""What tests ask of `/jobs`."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.integration.gateways import Gateway, publish
from tests.integration.scoring import WORDS
from tests.integration.stack import Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

CSV = {"Content-Type": "text/csv"}
LINES = {"Content-Type": "application/x-ndjson"}


@contextlib.contextmanager
def served(folder: Path) -> Iterator[Stack]:
    """A service of one model, whose own gateway takes no jobs."""
    publish(folder / "models", "classifier", write_version(folder / "one", WORDS, golden=["pan"], max_length=16))
    with Stack(folder / "models", folder / "log") as running:
        yield running


def begin(gateway: Gateway, table: bytes | str, headers: dict[str, str], **query: Any) -> dict[str, Any]:
    answer = gateway.client.post("/jobs", content=table, headers=headers, params=query)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/jobs/{job['id']}"
    return job


def look(gateway: Gateway, job: dict[str, Any]) -> dict[str, Any]:
    answer = gateway.client.get(f"/jobs/{job['id']}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(gateway: Gateway, job: dict[str, Any], state: str = "done") -> dict[str, Any]:
    wait_until(lambda: look(gateway, job)["finished"] is not None, 60, "the job has ended")
    found = look(gateway, job)
    assert found["state"] == state, found
    return found


def result(gateway: Gateway, job: dict[str, Any], **query: Any) -> list[dict[str, Any]]:
    answer = gateway.client.get(f"/jobs/{job['id']}/result", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def many_rows(count: int) -> str:
    return "text\n" + "".join(f"{list(WORDS)[number % 3]}\n" for number in range(count))


def expected(number: int) -> str:
    return list(WORDS.values())[number % 3]
