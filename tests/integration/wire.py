"""What goes over one connection, byte by byte as a test wants it, and the answers that come back."""

import json
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

BODY = json.dumps({"inputs": "cat oak cat"}).encode()
"""Of a POST to /predict."""


@dataclass(frozen=True)
class WireAnswer:
    """One answer."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """One connection to a gateway on this machine."""

    def __init__(self, port: int, timeout_s: float = 60) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        self._received = b""

    def __enter__(self) -> "Wire":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *parts: bytes, pause_s: float = 0.02) -> None:
        """Send the parts as segments of their own."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number, part in enumerate(parts):
            if number:
                time.sleep(pause_s)
            self.socket.sendall(part)

    def stop_sending(self) -> None:
        """As `nc -N` does at the end of its input."""
        self.socket.shutdown(socket.SHUT_WR)

    def answer(self, head_only: bool = False) -> WireAnswer:
        """The next answer, without the 100s before it. Raises EOFError if the connection ends first."""
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        status = int(lines[0].split()[1])
        if status < 200:
            return self.answer(head_only)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        length = 0 if head_only else int(headers["content-length"])
        while len(self._received) < length:
            self._receive()
        body, self._received = self._received[:length], self._received[length:]
        return WireAnswer(status, headers, body)

    def answers(self, count: int) -> list[tuple[int, bytes]]:
        """Status and body of so many answers."""
        return [(answer.status, answer.body) for answer in (self.answer() for _ in range(count))]

    def is_closed(self) -> bool:
        """Whether the connection ends without another byte."""
        try:
            return self._received == self.socket.recv(1) == b""
        except ConnectionError:
            return True

    def _receive(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise EOFError(f"closed after {self._received[:200]!r}")
        self._received += data


def ask(port: int, *parts: bytes, count: int = 1) -> list[tuple[int, bytes]]:
    """Status and body of the answers to what is sent in these segments."""
    with Wire(port) as wire:
        wire.send(*parts)
        return wire.answers(count)


def get(sentence: str = "cat", headers: bytes = b"", version: str = "1.1") -> bytes:
    """GET /classify."""
    return f"GET /classify?sentence={sentence} HTTP/{version}\r\nHost: x\r\n".encode() + headers + b"\r\n"


def post(body: bytes, headers: bytes = b"", path: str = "/predict", version: str = "1.1") -> tuple[bytes, bytes]:
    """Head and body of a POST of JSON."""
    head = f"POST {path} HTTP/{version}\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + headers + b"\r\n", body


def chunked(chunks: Sequence[bytes], headers: bytes = b"", trailers: bytes = b"") -> tuple[bytes, bytes]:
    """The same with a body in chunks."""
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    return head + headers + b"\r\n", body + b"0\r\n" + trailers + b"\r\n"
