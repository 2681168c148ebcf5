"""What `--precision auto` is judged on, of all the files that were given."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from export.commands.export_options import ServesOn
from export.commands.given_texts import GivenTexts
from repository.automatic_rule import AutomaticRule
from repository.console import Console

if TYPE_CHECKING:  # importing PyTorch takes seconds, which --help and a wrong option need not wait for
    from export.checkpoint.load import Checkpoint
    from export.parity.measure import Reference
    from export.texts.sentences import JudgedSentences
    from export.version.automatic import Judging, Serving

LONG_TEXTS = "long texts joined of these"

out = Console()


def judging_for(
    checkpoint: "Checkpoint",
    texts: GivenTexts,
    serves_on: ServesOn | None,
    rule: AutomaticRule,
) -> "Judging":
    """Ask PyTorch what a precision is judged on.

    Args:
        checkpoint: loaded.
        texts: the sentences of all files.
        serves_on: what will serve; None: what this machine has.
        rule: what is asked.
    """
    from export.parity.measure import reference_answers
    from export.version.automatic import Judging

    serving = _serving(serves_on)
    files = [one for one in (texts.validation, *(file.judged for file in texts.files)) if one is not None]
    if not files:
        return Judging(None, [], [], serving, rule)
    # The validation split first; sentences with labels before those without; the first of equals.
    best = max(files, key=lambda one: (one.truth is not None, one.is_validation))
    with out.progress("Asking PyTorch what to judge by", len(best.sentences)) as advance:
        answers = reference_answers(checkpoint, best.sentences, best.truth, advance)
    reference = replace(answers, origin=best.origin)
    others = [one for one in files if one is not best]
    return Judging(reference, best.groups, _others(checkpoint, best, others), serving, rule)


def _others(
    checkpoint: "Checkpoint", best: "JudgedSentences", others: "Sequence[JudgedSentences]"
) -> "list[Reference]":
    """PyTorch's answers to sentences of other files, and to long texts."""
    from export.parity.measure import encode, plain_answers
    from export.texts.long_texts import long_texts

    tokens = [len(encode(checkpoint, sentence)) for sentence in best.sentences]
    texts = {one.origin: one.sentences for one in others}
    if long := long_texts(best.sentences, tokens, checkpoint.max_length):
        texts[LONG_TEXTS] = long
    answers = []
    for origin, sentences in texts.items():
        with out.progress(f"Asking PyTorch {origin}", len(sentences)) as advance:
            answers.append(plain_answers(checkpoint, sentences, origin, advance))
    return answers


def _serving(serves_on: ServesOn | None) -> "Serving":
    from export.precision.formats import provider_here
    from export.version.automatic import Serving
    from repository.tolerances import Provider

    here = provider_here()
    if serves_on is None:
        return Serving(here, "CUDA serves here" if here is Provider.CUDA else "no CUDA here", is_here=True)
    provider = Provider.CUDA if serves_on is ServesOn.GPU else Provider.CPU
    return Serving(provider, f"a {serves_on.value.upper()} will serve", provider in (Provider.CPU, here))
