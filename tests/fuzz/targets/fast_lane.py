"""`gateway/fast_lane.py`: what it takes, it answers as FastAPI's route does.

Input: all that a caller sends. Behind both lanes stands, in place of the classifier, what answers with the text that it
is asked.
"""

import json
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from starlette.types import ASGIApp, Message, Receive, Scope, Send

import gateway.fast_lane
import gateway.routes
from gateway.answers import Answer
from gateway.app import create_app
from gateway.encoding import Text
from gateway.errors import BlankSentenceError
from gateway.fast_lane import FastLane
from gateway.metrics import Metrics
from gateway.middleware import Observed, RequestRecord
from gateway.schemas import PLAIN, Options
from gateway.services import ServicesHolder
from gateway.settings import GatewaySettings
from tests.fuzz.connection import converse, run

FILES = ("gateway/fast_lane.py", "gateway/middleware.py")
WORDS = (
    b"GET /classify?sentence=",
    b"HEAD /classify?sentence=a HTTP/1.1\r\n\r\n",
    b" HTTP/1.1\r\n\r\n",
    b"/%63lassify",
    b"//classify/",
    b"sentence=",
    b"&",
    b";",
    b"#",
    b"+",
    b"%00",
    b"%26",
    b"%2B",
    b"%ED%A0%80",
    b"%FF",
    b"%C3%A9",
    b"\xc3\xa9",
    b"%",
)


class Lanes:
    """Both lanes, side by side; each request that the fast one takes must have the same answer in the other."""

    def __init__(self) -> None:
        settings = GatewaySettings()
        service = SimpleNamespace(settings=settings)
        holder = ServicesHolder()
        holder.services = SimpleNamespace(default=service, of=lambda _: service, metrics=Metrics())  # type: ignore[assignment]
        lane: Any = create_app(settings)
        while not isinstance(lane, FastLane):
            lane = lane._app
        self._slow: Any = lane._app
        self._slow.state.holder = holder
        self._declined = False
        self._fast = FastLane(self._decline, holder)
        self.compared = 0
        self.differences: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask both."""
        self._declined = False
        fast = await _answer(self._fast, scope, receive)
        if not self._declined:
            slow = await _answer(self._slow, {**scope, "state": {"record": RequestRecord("")}}, receive)
            self.compared += 1
            if fast != slow:
                self.differences.append(f"{scope['query_string']!r}: {fast} by the fast lane, {slow} by FastAPI")
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def _decline(self, _scope: Scope, _receive: Receive, _send: Send) -> None:
        self._declined = True


async def _answer(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[object, ...]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    if not messages:
        return ()
    kept = {b"content-type", b"content-length"}
    headers = sorted(header for header in messages[0]["headers"] if header[0] in kept)
    body = b"".join(message["body"] for message in messages[1:])
    return messages[0]["status"], headers, body, scope["state"]["record"].model


async def _classify(_service: Any, _record: RequestRecord, text: Text, options: Options = PLAIN) -> Answer:
    """What both lanes call, with the text for an answer."""
    assert {name: getattr(options, name) for name in Options.model_fields} == PLAIN.model_dump()
    if not text.first.strip():
        raise BlankSentenceError("blank")
    return Answer(json.dumps([text.first, text.second]).encode())


LANES = Lanes()
_observed = Observed(LANES, Metrics(), None)


def check(data: bytes) -> None:
    """Raises AssertionError: the lanes differ."""
    LANES.differences.clear()
    with (
        patch.object(gateway.fast_lane, "classify_sentence", _classify),
        patch.object(gateway.routes, "classify_sentence", _classify),
    ):
        outcome = run(converse(_observed, [data] if data else []))
    assert not outcome.faults, outcome.faults
    assert not LANES.differences, LANES.differences[0]
