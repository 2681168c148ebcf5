"""Clients that somebody else wrote, each at its defaults: all get the same answers to the same questions."""

import asyncio
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import httpx
import pytest

from benchmarks.measure.ports import free_ports
from tests.integration.gateways import publish
from tests.integration.stack import Stack
from tests.version_folders import write_version
from tests.waiting import wait_until

WORDS = {"cat": "Animal", "oak": "Plant", "música": "Art"}
CLIENTS = Path(__file__).parent / "clients"
JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Question:
    """One request; the body, if there is one, lies in a file."""

    method: str
    path: str
    body: Path | None = None

    def sent(self) -> bytes:
        """The body's bytes."""
        return self.body.read_bytes() if self.body else b""

    def line(self) -> str:
        """For the clients that read their questions from a file."""
        return " ".join([self.method, self.path, *([str(self.body)] if self.body else [])])


Answers = list[tuple[int, str]]
"""Status and body of each answer, in the order of the questions."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("clients")
    publish(folder / "repository", "classifier", write_version(folder / "version", WORDS, weight=1.0))
    with Stack(folder / "repository", folder / "log") as running:
        yield running


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> list[Question]:
    """A GET, a POST of one and of 256 sentences, HEAD of a health route, ten more, and one that is a mistake."""
    folder = tmp_path_factory.mktemp("questions")
    bodies = {
        "one": {"sentences": ["música oak música"]},
        "many": {"sentences": [" ".join(list(WORDS)[: 1 + number % 3]) for number in range(256)], "top_k": "all"},
        "mistake": {"inputs": []},
    }
    for name, body in bodies.items():
        (folder / name).write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    return [
        Question("GET", "/classify?sentence=m%C3%BAsica+cat&top_k=2"),
        Question("POST", "/classify", folder / "one"),
        Question("POST", "/classify/", folder / "many"),
        Question("HEAD", "/health/ready"),
        *[Question("GET", f"/classify?sentence={word}") for word in ["cat", "oak"] * 5],
        Question("POST", "/predict", folder / "mistake"),
    ]


@pytest.fixture(scope="module")
def expected(stack: Stack, questions: list[Question]) -> Answers:
    """What Python's own client gets."""
    found = []
    connection = HTTPConnection("127.0.0.1", stack.ports["GATEWAY_PORT"], timeout=30)
    for question in questions:
        connection.request(question.method, question.path, question.sent(), JSON)
        answer = connection.getresponse()
        found.append((answer.status, answer.read().decode()))
    connection.close()
    assert [status for status, _ in found] == [200] * 14 + [422]
    assert [label["label"] for label in json.loads(found[0][1])] == ["Animal", "Art"]
    assert [len(row) for row in json.loads(found[2][1])] == [3] * 256
    assert found[3][1] == ""
    assert json.loads(found[4][1])[0]["label"] == "Animal"
    return found


@pytest.fixture(scope="module")
def proxy(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """nginx with TLS in front of the gateway: its URL, and the certificate to trust."""
    need("nginx", "openssl")
    folder = tmp_path_factory.mktemp("nginx")
    certificate = folder / "certificate.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(certificate)]
    making = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *subject, *files]
    subprocess.run(making, check=True, capture_output=True)
    (port,) = free_ports(1)
    text = (CLIENTS / "nginx.conf").read_text()
    for name, value in {"FOLDER": folder, "GATEWAY": stack.ports["GATEWAY_PORT"], "PORT": port}.items():
        text = text.replace(name, str(value))
    (folder / "nginx.conf").write_text(text)
    command = ["nginx", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx-error.log")]
    with subprocess.Popen(command) as nginx:
        try:
            wait_until(lambda: is_open(port), 10, "nginx listens")
            yield f"https://127.0.0.1:{port}", certificate
        finally:
            nginx.terminate()


def need(*programs: str) -> None:
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def printed(command: list[str]) -> Answers:
    """What a client printed: a line for each answer, with status and body."""
    env = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    done = subprocess.run(command, capture_output=True, timeout=120, env=env)
    assert done.returncode == 0, done.stderr.decode()
    rows = [line.partition("\t") for line in done.stdout.decode().splitlines()]
    return [(int(status), body) for status, _, body in rows]


def curl(url: str, questions: list[Question], folder: Path, *options: str) -> Answers:
    """All by one curl, so that the connection is kept."""
    command = ["curl", "--silent", "--show-error"]
    for number, question in enumerate(questions):
        is_head = question.method == "HEAD"
        output = os.devnull if is_head else str(folder / str(number))  # curl prints the headers of a HEAD
        command += ["--next"] * bool(number)
        command += [*options, "--output", output, "--write-out", "%{http_code} %{num_connects}\n"]
        command += ["--head"] * is_head
        command += ["-H", "Content-Type: application/json", "--data-binary", f"@{question.body}"] * bool(question.body)
        command.append(url + question.path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.splitlines()]
    assert [connects for _, connects in told] == ["1"] + ["0"] * (len(questions) - 1), "one connection for all"
    bodies = [folder / str(number) for number in range(len(questions))]
    return [(int(told[n][0]), body.read_text() if body.exists() else "") for n, body in enumerate(bodies)]


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl(stack: Stack, questions: list[Question], expected: Answers, tmp_path: Path, version: str) -> None:
    need("curl")
    assert curl(stack.url, questions, tmp_path, version) == expected


def test_java_s_http_client_which_offers_http_2_with_each_request(
    stack: Stack, questions: list[Question], expected: Answers, tmp_path: Path
) -> None:
    need("java", "javac")
    asked = tmp_path / "asked"
    asked.write_text("\n".join(question.line() for question in questions))
    assert printed(["java", str(CLIENTS / "Client.java"), stack.url, str(asked)]) == expected


def test_node_s_fetch(stack: Stack, questions: list[Question], expected: Answers, tmp_path: Path) -> None:
    need("node")
    asked = tmp_path / "asked"
    asked.write_text("\n".join(question.line() for question in questions))
    assert printed(["node", str(CLIENTS / "client.mjs"), stack.url, str(asked)]) == expected


def by_requests(url: str, questions: list[Question]) -> Answers:
    requests = pytest.importorskip("requests")
    with requests.Session() as session:
        session.trust_env = False
        answers = [session.request(q.method, url + q.path, data=q.sent(), headers=JSON) for q in questions]
        return [(answer.status_code, answer.text) for answer in answers]


def by_httpx(url: str, questions: list[Question]) -> Answers:
    with httpx.Client(trust_env=False, timeout=60) as client:
        answers = [client.request(q.method, url + q.path, content=q.sent(), headers=JSON) for q in questions]
        return [(answer.status_code, answer.text) for answer in answers]


def by_aiohttp(url: str, questions: list[Question]) -> Answers:
    aiohttp = pytest.importorskip("aiohttp")

    async def ask() -> Answers:
        found = []
        async with aiohttp.ClientSession() as session:
            for question in questions:
                data = question.sent()
                async with session.request(question.method, url + question.path, data=data, headers=JSON) as answer:
                    found.append((answer.status, await answer.text()))
        return found

    return asyncio.run(ask())


@pytest.mark.parametrize("client", [by_requests, by_httpx, by_aiohttp])
def test_python_s_clients(
    stack: Stack, questions: list[Question], expected: Answers, client: Callable[[str, list[Question]], Answers]
) -> None:
    assert client(stack.url, questions) == expected


def test_nc_which_sends_everything_at_once_and_stops_sending(
    stack: Stack, questions: list[Question], expected: Answers
) -> None:
    need("nc")
    sent = b"".join(
        f"{q.method} {q.path} HTTP/1.1\r\nHost: x\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(q.sent())}\r\n\r\n".encode()
        + q.sent()
        for q in questions
    )
    port = str(stack.ports["GATEWAY_PORT"])
    done = subprocess.run(["nc", "-N", "127.0.0.1", port], input=sent, capture_output=True, timeout=60)
    assert split(done.stdout, [question.method for question in questions]) == expected


def split(received: bytes, methods: list[str]) -> Answers:
    """The answers in what came over one connection; each has its length."""
    found = []
    for method in methods:
        head, _, received = received.partition(b"\r\n\r\n")
        length = 0 if method == "HEAD" else int(re.search(rb"content-length: (\d+)", head)[1])  # type: ignore[index]
        found.append((int(head.split()[1]), received[:length].decode()))
        received = received[length:]
    assert received == b""
    return found


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl_through_nginx_with_tls(
    proxy: tuple[str, Path], questions: list[Question], expected: Answers, tmp_path: Path, version: str
) -> None:
    need("curl")
    url, certificate = proxy
    assert curl(url, questions, tmp_path, version, "--cacert", str(certificate)) == expected


def test_httpx_through_nginx_with_tls(proxy: tuple[str, Path], questions: list[Question], expected: Answers) -> None:
    url, certificate = proxy
    context = ssl.create_default_context(cafile=certificate)
    with httpx.Client(trust_env=False, verify=context, timeout=60) as client:
        answers = [client.request(q.method, url + q.path, content=q.sent(), headers=JSON) for q in questions]
    assert [(answer.status_code, answer.text) for answer in answers] == expected
