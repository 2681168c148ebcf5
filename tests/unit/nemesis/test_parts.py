"""What a run is made of: the history as it is written and read, the door before S3, what follows from a seed."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.nemesis.history import INFO, INVOKE, OK, Entry, Recorder, read
from tests.nemesis.report import summary
from tests.nemesis.run import Found
from tests.nemesis.s3_cut import Door


class Greeting(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def door() -> Iterator[Door]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Greeting) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened = Door(server.server_port)
        yield opened
        opened.cut()
        server.shutdown()


def test_a_door_that_is_shut_breaks_connections_off_and_takes_none_until_it_is_open_again(door: Door) -> None:
    url = f"http://127.0.0.1:{door.port}/"
    with httpx.Client(timeout=20) as client:
        assert client.get(url).text == "hello"
        door.cut()
        with pytest.raises(httpx.TransportError):
            client.get(url)
        door.restore()
        assert client.get(url).text == "hello"


def test_a_door_that_holds_passes_on_later_what_it_was_given(door: Door) -> None:
    url = f"http://127.0.0.1:{door.port}/"
    door.hold()
    with httpx.Client(timeout=0.5) as client, pytest.raises(httpx.TimeoutException):
        client.get(url)
    with httpx.Client(timeout=20) as client:
        threading.Timer(0.2, door.release).start()
        assert client.get(url).text == "hello"


def test_a_history_is_read_as_it_was_shown_and_a_line_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    shown: list[Entry] = []
    path = tmp_path / "history"
    with path.open("w", encoding="utf-8") as file:
        recorder = Recorder(file, shown.append)
        op = recorder.invoke("client", "classify", sentences=[1], version=None)
        recorder.note("observer", "disk", versions={"1": "ä"})
        recorder.end(op, "client", "classify", INFO, error="reset")
        file.write('{"at": 1')
    assert list(read(path)) == shown
    assert [(entry.kind, entry.type, entry.op) for entry in shown] == [
        ("classify", INVOKE, 1),
        ("disk", INVOKE, 2),
        ("disk", OK, 2),
        ("classify", INFO, 1),
    ]
    assert [entry.at for entry in shown] == sorted(entry.at for entry in shown)


def test_the_report_counts_operations_by_outcome_and_faults_by_kind() -> None:
    found = Found()
    found.take(Entry(1, "client", "classify", INVOKE, 1, {}))
    found.take(Entry(2, "client", "classify", OK, 1, {"version": 3}))
    found.take(Entry(3, "client", "classify", "fail", 2, {"status": 503}))
    found.take(Entry(4, "nemesis", "fault", INVOKE, 3, {"fault": "full-disk"}))
    text = summary(found, 7)
    assert "Seed 7" in text
    assert "1 versions answered" in text
    assert "classify: 1 503, 1 ok" in text
    assert "faults: 1 full-disk" in text
    assert text.endswith("No promise was broken.")
