"""A real server that knows its answers beforehand, to stand for an alternative that is measured, or for this server."""

import sys
from pathlib import Path

from benchmarks.alternatives import AlternativeError
from benchmarks.alternatives.answers import Answer, Question
from benchmarks.alternatives.registry import Alternative, Launch
from benchmarks.measure.ports import free_ports

# Answers `GET /classify` with one label; after `limit` requests with status 500; in chunks if it is told to.
SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, label, limit, chunked = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), len(sys.argv) > 4
answered = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        global answered
        answered += 1
        body = json.dumps([{"label": "other", "score": 0.25}, {"label": label, "score": 0.75}]).encode()
        self.send_response(200 if answered <= limit else 500)
        self.send_header("transfer-encoding" if chunked else "content-length", "chunked" if chunked else str(len(body)))
        self.end_headers()
        self.wfile.write(b"%x\\r\\n%s\\r\\n0\\r\\n\\r\\n" % (len(body), body) if chunked else body)

    def log_message(self, *arguments):
        pass


ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
SENTENCES = [f"sentence {number}" for number in range(30)]
EXPECTED = [Answer("cat", 0.75)] * len(SENTENCES)


def launch(folder: Path) -> Launch:
    return Launch(folder / "bin", folder / "checkpoint", folder / "version", folder, free_ports(3))


def fake(folder: Path, *arguments: str, tolerance: float = 1e-3) -> Alternative:
    """As an alternative; its arguments are a label, after how many requests it fails, and whether it sends chunks."""
    script = folder / "server.py"
    script.write_text(SERVER)
    return Alternative(
        name="fake",
        title="Fake",
        package="fake:1.0",
        environment="",
        settings="none",
        command=lambda launch: [sys.executable, str(script), str(launch.port), *arguments],
        question=Question("/classify"),
        tolerance=tolerance,
    )


def answers(url: str) -> bool:
    """Whether the server there answers."""
    try:
        Question("/classify").ask(url, "a")
    except AlternativeError:
        return False
    return True
