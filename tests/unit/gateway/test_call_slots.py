"""Models that share Triton's cores: each gets its share, and one whose calls hang keeps nobody waiting."""

from dataclasses import dataclass, field

from gateway.call_slots import CallSlots


@dataclass(eq=False)
class Model:
    """Sentences that wait, by the time when they came, and what was begun."""

    name: str
    log: list[str]
    waiting: list[float] = field(default_factory=list)
    calls_that_count: int = 0

    @property
    def waits_since(self) -> float | None:
        return self.waiting[0] if self.waiting else None

    def begin_call(self) -> None:
        self.waiting.pop(0)
        self.calls_that_count += 1
        self.log.append(self.name)


def models(slots: CallSlots, *waiting: list[float]) -> tuple[list[Model], list[str]]:
    log: list[str] = []
    found = [Model(name, log, list(times)) for name, times in zip("abc", waiting, strict=False)]
    for model in found:
        slots.join(model)
    return found, log


def test_a_model_alone_uses_all_calls() -> None:
    slots = CallSlots(3)
    (alone,), log = models(slots, [1.0, 2.0, 3.0, 4.0])
    slots.deal()
    assert log == ["a", "a", "a"]
    assert not slots.has_room(alone)


def test_who_has_the_fewest_calls_goes_first_and_then_who_waits_longest() -> None:
    slots = CallSlots(3)
    _, log = models(slots, [1.0, 2.0, 3.0, 4.0], [5.0, 6.0])
    slots.deal()
    assert log == ["a", "b", "a"]


def test_a_call_that_ends_is_followed_by_one_of_the_model_with_fewer() -> None:
    slots = CallSlots(3)
    (first, _), log = models(slots, [1.0] * 5, [2.0] * 5)
    slots.deal()
    log.clear()
    first.calls_that_count -= 1  # each has one now
    slots.deal()
    assert log == ["a"], "it waits longer"
    log.clear()
    first.calls_that_count -= 1
    first.waiting = [9.0]
    slots.deal()
    assert log == ["b"]


def test_a_model_whose_calls_hang_leaves_one_to_each_of_the_others() -> None:
    slots = CallSlots(2)
    (hanging, second, third), log = models(slots, [1.0, 1.0, 1.0], [], [])
    slots.deal()
    assert log == ["a", "a"]
    second.waiting, third.waiting = [2.0, 2.0], [3.0]
    slots.deal()
    assert log == ["a", "a", "b", "c"]
    assert (hanging.calls_that_count, second.calls_that_count, third.calls_that_count) == (2, 1, 1)


def test_a_model_that_is_gone_takes_no_room() -> None:
    slots = CallSlots(1)
    (gone, other), log = models(slots, [1.0], [])
    slots.deal()
    slots.leave(gone)
    other.waiting = [2.0]
    slots.deal()
    assert log == ["a", "b"]
