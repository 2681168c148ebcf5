"""Requests made up from the OpenAPI description, right and wrong ones: no answer is a 500, each is as described."""

import subprocess
import sys
from pathlib import Path

from tests.integration.gateways import publish
from tests.integration.stack import Stack
from tests.version_folders import write_version

# Not positive_data_acceptance: that a sentence must not be blank cannot be said in a schema.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "unsupported_method",
)


def test_every_answer_is_one_that_openapi_describes(tmp_path: Path) -> None:
    publish(tmp_path / "repository", "classifier", write_version(tmp_path / "version", {"cat": "Animal", "oak": "Oak"}))
    program = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    options = ["--checks", ",".join(CHECKS), "--max-examples", "40", "--seed", "1", "--no-color"]
    with Stack(tmp_path / "repository", tmp_path / "log") as stack:
        found = subprocess.run(
            [*program, "run", f"{stack.url}/openapi.json", *options], cwd=tmp_path, capture_output=True, text=True
        )
        assert found.returncode == 0, found.stdout
        assert "passed" in found.stdout
        log = stack.log.read_text()
    assert "Traceback" not in log
    assert log.count('"status":200') > 50
    assert log.count('"status":422') > 50
