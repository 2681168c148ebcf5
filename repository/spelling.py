"""How does a person call the programs? `python -m export` in a checkout, `text-classifier export` once installed."""

import os
import re

from repository.shipped import COMMAND_VARIABLE

COMMAND = "text-classifier"
DISTRIBUTION = "text-classifier-server"

FORMS = {
    "python -m training train": f"{COMMAND} train",
    "python -m training distill": f"{COMMAND} distill",
    "python -m training inspect": f"{COMMAND} inspect",
    "python -m training evaluate": f"{COMMAND} evaluate",
    "python -m training track": f"{COMMAND} track",
    "python -m training": f"{COMMAND} train",
    "python -m export export": f"{COMMAND} export",
    "python -m export inspect": f"{COMMAND} version inspect",
    "python -m export diff": f"{COMMAND} version diff",
    "python -m export calibrate": f"{COMMAND} version calibrate",
    "python -m export profile": f"{COMMAND} version profile",
    "python -m export": f"{COMMAND} export",
    "python -m repository publish": f"{COMMAND} publish",
    "python -m repository": f"{COMMAND} repository",
    "python -m launcher.pipeline": f"{COMMAND} pipeline",
    "python -m launcher.gate": f"{COMMAND} gate",
    "python -m launcher": f"{COMMAND} serve",
    "python -m gateway.batch": f"{COMMAND} score",
    "python -m gateway": f"{COMMAND} gateway",
    "python -m server": f"{COMMAND} triton",
    "python -m text_classifier.classify": f"{COMMAND} classify",
    "python -m benchmarks": f"{COMMAND} bench",
    "make up": f"{COMMAND} serve",
    "make train": f"{COMMAND} train",
    "make pipeline": f"{COMMAND} pipeline",
    "pip install '.": f"pip install '{DISTRIBUTION}",
}
"""What takes the place of what; of two that fit the longer."""

_ALL_FORMS = "|".join(map(re.escape, sorted(FORMS, key=len, reverse=True)))
_ANY_FORM = re.compile(rf"(?:{_ALL_FORMS})(?!\w|\.\w)")


def in_one_command(text: str) -> str:
    """A text with its `python -m …` in the words of the one command."""
    return _ANY_FORM.sub(lambda found: FORMS[found[0]], text)


def as_called(text: str) -> str:
    """A text that names programs by `python -m …`, in the words by which this process was started."""
    return in_one_command(text) if by_command() else text


def by_command() -> bool:
    """Whether the one command started this process, itself or by another."""
    return COMMAND_VARIABLE in os.environ
