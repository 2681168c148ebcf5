"""The SDK's own log: each kind of line once a minute, and no secret in it."""

import logging
from collections.abc import Iterator

import pytest

from gateway.tracing.sdk_log import SparseHandler, log_sparsely

SDK = logging.getLogger("opentelemetry.exporter.somewhere")


@pytest.fixture
def sparse(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    root = logging.getLogger("opentelemetry")
    kept, propagates = list(root.handlers), root.propagate
    log_sparsely({"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cr3t,x-team=ab"})
    yield caplog
    root.handlers, root.propagate = kept, propagates


def written(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What is left to write; pytest catches the SDK's own, too."""
    return [record for record in caplog.records if record.name.startswith("gateway.")]


def test_a_kind_of_line_is_written_once(sparse: pytest.LogCaptureFixture) -> None:
    for batch in range(50):
        SDK.warning("Batch %d was not taken.", batch)
    SDK.error("Something else.")
    SDK.info("Nobody needs this.")
    assert [record.getMessage() for record in written(sparse)] == [
        "OpenTelemetry: Batch 0 was not taken.",
        "OpenTelemetry: Something else.",
    ]


def test_no_secret_and_no_trace_of_calls_is_written(sparse: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("bad header 'Bearer s3cr3t'\nand more")
    except ValueError:
        SDK.exception("Exporting failed; authorization is Bearer%20s3cr3t.")
    (record,) = written(sparse)
    assert "s3cr3t" not in record.getMessage()
    assert record.getMessage().endswith("ValueError: bad header '…' and more")
    assert record.exc_info is None


def test_calling_it_again_changes_nothing(sparse: pytest.LogCaptureFixture) -> None:
    log_sparsely({})
    handlers = logging.getLogger("opentelemetry").handlers
    assert len([handler for handler in handlers if isinstance(handler, SparseHandler)]) == 1
    SDK.warning("once")
    assert len(written(sparse)) == 1
