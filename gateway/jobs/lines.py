"""What stands in a line of a job's result: where the row was, which version answered, and what, or why nothing."""

import asyncio
import json
from typing import Any

from pydantic_core import to_json

from gateway.cascade import Answered
from gateway.classifier import Prediction, Predictions
from gateway.jobs.lane import Lane
from gateway.jobs.prepared import Prepared
from gateway.meaning.thresholds import thresholds_of
from gateway.ranking import LabelScore, ranked
from gateway.schemas import Options
from gateway.service import Service
from gateway.windows.choices import WindowJoin
from gateway.windows.joining import joined

AT_ONCE = 32
"""Rows that are written down without a look at who else came: half a millisecond."""


class Lines:
    """Writes the result of one job."""

    def __init__(self, service: Service, options: Options, join: WindowJoin, keep: list[str], lane: Lane) -> None:
        """Raise InvalidRequestError: the options do not go together."""
        self._service = service
        self._options = options
        self._wish = service.meaning.wish(options)
        self._join = join
        self._keep = keep
        self._lane = lane

    async def of(self, prepared: Prepared, index: int) -> bytes:
        """The lines of a chunk, whose first has this index.

        Raises:
            InvalidRequestError: the version does not have what the options ask for.
            NotReadyError, ModelFailedError: what it has cannot be read.
        """
        found: dict[int, dict[str, Any]] = {}
        chunk, version = prepared.chunk, prepared.version.number
        for broken in chunk.broken:
            found[broken.number] = {"error": f"the row {broken.reason}"}
        for place, error in prepared.errors.items():
            found[chunk.numbers[place]] = self._kept(chunk.rows[place]) | {"error": error}
        places = [place for place in range(len(chunk.rows)) if place not in prepared.errors]
        for begin in range(0, len(places), AT_ONCE):
            await self._lane.spare()
            await asyncio.sleep(0)
            some = places[begin : begin + AT_ONCE]
            for place, answer in zip(some, await self._answers(prepared, some), strict=True):
                found[chunk.numbers[place]] = self._kept(chunk.rows[place]) | self._facts(prepared, place, answer)
        lines = bytearray()
        for count, number in enumerate(sorted(found)):
            line = {"index": index + count, "row": number, "version": version, **found[number]}
            lines += _json(line) + b"\n"
        return bytes(lines)

    async def _answers(self, prepared: Prepared, places: list[int]) -> list[list[LabelScore]]:
        predictions = Predictions(prepared.version, [self._prediction(prepared, place) for place in places])
        if self._wish is not None:
            return await self._service.meaning.labels(predictions, self._wish)
        manifest = prepared.version.manifest
        threshold = thresholds_of(manifest, self._service.settings)
        return [ranked(item.scores, manifest, self._options.top_k, threshold) for item in predictions.items]

    def _prediction(self, prepared: Prepared, place: int) -> Prediction:
        pieces = [prepared.pieces[piece] for piece in prepared.parts[place]]
        rows = [row for piece in prepared.parts[place] if (row := prepared.answers[piece]) is not None]
        tokens = sum(len(piece.ids) for piece in pieces)
        whole = joined([Answered(*row, None) for row in rows], self._join, prepared.version.manifest.problem_type)
        return Prediction(*whole, tokens=tokens, cut_tokens=pieces[0].cut if len(pieces) == 1 else 0)

    def _facts(self, prepared: Prepared, place: int, answer: list[LabelScore]) -> dict[str, Any]:
        facts: dict[str, Any] = {"answer": answer}
        pieces = prepared.parts[place]
        if len(pieces) > 1:
            facts["windows"] = len(pieces)
        elif prepared.pieces[pieces[0]].cut:
            facts["truncated"] = True
        return facts

    def _kept(self, row: dict[str, Any]) -> dict[str, Any]:
        return {"kept": {name: row.get(name) for name in self._keep}} if self._keep else {}


def _json(line: dict[str, Any]) -> bytes:
    try:
        return to_json(line)
    except ValueError:  # half a surrogate pair, which JSON can hold and UTF-8 can't
        return json.dumps(line).encode()
