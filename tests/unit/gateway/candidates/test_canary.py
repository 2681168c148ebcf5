"""Of a canary's share the candidate answers, the same texts everywhere; at its first failure the current one does."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.batcher import Batcher
from gateway.candidates.canary import place_of
from gateway.candidates.counts import Counts
from gateway.candidates.live import LiveTrial
from gateway.candidates.shadow import Shadow
from gateway.classifier import Predictions
from gateway.encoding import Text
from gateway.errors import (
    DeadlineExceededError,
    GatewayError,
    ModelFailedError,
    NotReadyError,
    SentenceTooLongError,
    VersionGoneError,
)
from gateway.loaded_version import LoadedVersion

Pair = tuple[LoadedVersion, LoadedVersion]


def test_a_share_of_texts_is_the_candidate_s_and_a_larger_one_keeps_them() -> None:
    places = [place_of(Text(f"sentence {number}"), 4) for number in range(10_000)]
    assert abs(sum(place < 0.05 for place in places) / 10_000 - 0.05) < 0.01
    assert places == [place_of(Text(f"sentence {number}"), 4) for number in range(10_000)]
    assert place_of(Text("a", "b"), 4) != place_of(Text("a b"), 4)
    assert place_of(Text("a"), 4) != place_of(Text("a"), 5), "each trial deals them anew"


def test_gateways_of_other_versions_of_this_program_deal_alike() -> None:
    assert place_of(Text("Mapa aprende un nuevo lenguaje"), 4) == 0.4953046949736914
    assert place_of(Text("\ud800"), 4) < 1  # half a pair of surrogates is refused elsewhere, and breaks nothing here


class Asked:
    """What stands for the classifier: either version answers, or raises."""

    def __init__(self, versions: Pair) -> None:
        self.current, self.candidate = versions
        self.trouble: dict[int, BaseException] = {}
        self.asked: list[int] = []

    async def ask(self, version: LoadedVersion) -> Predictions:
        self.asked.append(version.number)
        if (error := self.trouble.get(version.number)) is not None:
            if isinstance(error, TimeoutError):
                await asyncio.sleep(10)
            raise error
        return Predictions(version, [])

    async def ask_current(self) -> Predictions:
        return await self.ask(self.current)


def trial_of(versions: Pair, batcher: Batcher, counts: Counts, deadline_s: float = 5.0) -> LiveTrial:
    shadow = Shadow(batcher, counts, 0.0, deadline_s, 0.5)
    trial = LiveTrial(versions[1], shadow, counts, deadline_s)
    trial.canary, trial.against = 1.0, 1
    return trial


def predict(trial: LiveTrial, asked: Asked, texts: Sequence[Text] = (Text("cat"),)) -> int:
    return asyncio.run(trial.predict(texts, None, asked.ask, asked.ask_current)).version.number  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ModelFailedError("a logit that is no finite number"), "a logit that is no finite number"),
        (DeadlineExceededError("Triton did not answer in time"), "Triton did not answer in time"),
        (TimeoutError(), "no answer within 0.1 seconds"),
    ],
)
def test_the_first_failure_ends_it_and_costs_no_answer(
    versions: Pair, batcher: Batcher, counts: Counts, error: Exception, reason: str
) -> None:
    asked, trial = Asked(versions), trial_of(versions, batcher, counts, deadline_s=0.2)
    assert predict(trial, asked) == 2
    asked.trouble[2] = error
    assert [predict(trial, asked), predict(trial, asked)] == [1, 1]
    assert asked.asked == [2, 2, 1, 1]
    assert counts.tally is not None
    assert reason in str(counts.tally.failure)
    assert counts.tally.answered == 1


@pytest.mark.parametrize(
    ("error", "asked_again"),
    [
        (NotReadyError("Triton is away"), [2, 1]),
        (SentenceTooLongError("It has 900 tokens"), [2, 1]),
        (VersionGoneError("It is gone", 2), [1]),
    ],
)
def test_what_is_not_its_doing_does_not_end_it(
    versions: Pair, batcher: Batcher, counts: Counts, error: GatewayError, asked_again: list[int]
) -> None:
    asked, trial = Asked(versions), trial_of(versions, batcher, counts)
    asked.trouble[2] = error
    assert predict(trial, asked) == 1
    assert trial.failure is None
    asked.asked.clear()
    assert predict(trial, asked) == 1
    assert asked.asked == asked_again


def test_a_request_that_neither_answers_is_not_held_against_it(
    versions: Pair, batcher: Batcher, counts: Counts
) -> None:
    asked, trial = Asked(versions), trial_of(versions, batcher, counts)
    asked.trouble = {2: ModelFailedError("of the candidate"), 1: ModelFailedError("of the current one")}
    with pytest.raises(ModelFailedError, match="of the current one"):
        predict(trial, asked)
    assert trial.failure is None


def test_the_first_text_of_several_says_whose_request_it_is(versions: Pair, batcher: Batcher, counts: Counts) -> None:
    asked, trial = Asked(versions), trial_of(versions, batcher, counts)
    trial.canary = 0.5
    for number in range(50):
        first = Text(f"sentence {number}")
        expected = 2 if place_of(first, 2) < 0.5 else 1
        assert predict(trial, asked, [first, Text("another")]) == predict(trial, asked, [first]) == expected
