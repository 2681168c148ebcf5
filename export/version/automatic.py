"""What does `--precision auto` take, and why: what is right comes before what is fast."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from export import ExportError
from export.parity.judge import Answered, Labelled, judge, spoken, too_few
from export.parity.measure import Reference, graph_logits, usable_truth
from export.version.candidate import Candidate, Workshop, refusal_in_one_line
from export.version.speed import BATCH_SIZE, measure_speedup
from repository.automatic_rule import AutomaticRule
from repository.manifest import Judgement, Precision
from repository.tolerances import AUTOMATIC, Provider

# What is tried in turn, by what will serve; the last one is taken whatever it costs in speed.
AUTOMATIC_ORDER = {
    Provider.CUDA: (Precision.FP16, Precision.FP32),
    Provider.CPU: (Precision.INT8, Precision.FP32),
}
# Times as fast as the last one, else what is lost in exactness buys nothing. Triton's and the gateway's own work is in
# no figure here, and what is timed varies by some hundredths.
LEAST_SPEEDUP = 1.1


@dataclass(frozen=True)
class Serving:
    """What the version will be computed on."""

    provider: Provider
    because: str
    is_here: bool
    """Whether this machine has such a device, so that what is timed here says something."""


@dataclass(frozen=True)
class Judging:
    """What a precision is judged on."""

    reference: Reference | None
    """PyTorch's answers to sentences that are neither compared on nor calibrate; None if there are none."""
    groups: Sequence[str]
    """The group of each of them."""
    others: Sequence[Reference]
    """Answers to further texts, of which only changed ones are counted."""
    serving: Serving
    rule: AutomaticRule


@dataclass(frozen=True)
class Choice:
    """The version to be, and how it was chosen."""

    chosen: Candidate
    reasons: Sequence[str]
    """Facts, each a line."""
    passed_over: Sequence[Candidate] = ()
    is_automatic: bool = False

    @property
    def reason(self) -> str:
        """All of them, as one line."""
        return ("auto: " if self.is_automatic else "") + "; ".join(self.reasons)

    @property
    def candidates(self) -> list[Candidate]:
        """All that were measured."""
        return [*self.passed_over, self.chosen]

    @property
    def judgements(self) -> list[Judgement]:
        """What was found of each that was judged."""
        return [one.judgement for one in self.candidates if one.judgement is not None]


def choose(workshop: Workshop, judging: Judging, reference: Reference) -> Choice:
    """Try each format in turn, judge it, and measure what is taken on the sentences that are reported.

    A format that cannot be made of this model, and one that is not right or not fast enough, are passed over with the
    reason.

    Args:
        workshop: makes and measures the graphs.
        judging: what they are judged on.
        reference: what the one that is taken is reported on.

    Raises:
        ExportError: the last one cannot be made.
    """
    reasons = [judging.serving.because]
    passed_over: list[Candidate] = []
    *tried, last = AUTOMATIC_ORDER[judging.serving.provider]
    for precision in tried:
        if reason := _cannot_be_judged(workshop, judging):
            reasons.append(f"{precision.value} {reason}")
            continue
        try:
            found = _judged(workshop, judging, precision, last)
            reasons += _facts(found)
            if found.judgement is not None and not found.judgement.objections:
                # The same graph on other sentences; the sweep is the same on any.
                reported = replace(
                    workshop.compared(precision, reference), sweep=found.sweep, judgement=found.judgement
                )
                if not (outside := reported.violations()):
                    return Choice(reported, reasons, passed_over, is_automatic=True)
                reason = f"outside its tolerance where it is reported ({'; '.join(outside)})"
                reasons.append(f"{precision.value}: {reason}")
                found = replace(found, judgement=found.judgement.model_copy(update={"objections": [reason]}))
            passed_over.append(found)
        except ExportError as error:
            reasons.append(f"no {precision.value} ({error})")
    return Choice(workshop.candidate(last, reference), reasons, passed_over, is_automatic=True)


def _cannot_be_judged(workshop: Workshop, judging: Judging) -> str | None:
    """Why no graph need be made: minutes of work whose end is known."""
    if (reference := judging.reference) is None:
        return too_few(judging.rule, 0, with_truth=False)
    with_truth = usable_truth(reference, workshop.checkpoint.problem_type) is not None
    reason = too_few(judging.rule, len(reference.sentences), with_truth)
    return f"{reason} ({reference.origin})" if reason else None


def _judged(workshop: Workshop, judging: Judging, precision: Precision, plain: Precision) -> Candidate:
    """The candidate with its judgement; it is swept and timed only if nothing else speaks against it."""
    reference, checkpoint = judging.reference, workshop.checkpoint
    if reference is None:
        raise ExportError("there are no sentences to judge it on")
    found = workshop.compared(precision, reference)
    with refusal_in_one_line(precision):
        others = [
            Answered(other.origin or "", other.logits, graph_logits(found.folder, checkpoint, other.sentences))
            for other in judging.others
        ]
    judgement = judge(
        precision,
        Answered(reference.origin or "", reference.logits, found.logits),
        Labelled(usable_truth(reference, checkpoint.problem_type), judging.groups),
        others,
        checkpoint.labels,
        checkpoint.problem_type,
        judging.rule,
        found.unit,
    )
    tolerance = AUTOMATIC[workshop.provider, precision]
    objections, speedup = [*found.violations(tolerance), *judgement.objections], None
    if not objections:
        found = workshop.swept(found)
        objections = found.violations(tolerance)
    if not objections and judging.serving.is_here:
        speedup = _timed(workshop, found, plain, reference, judging.serving.provider)
        if speedup < LEAST_SPEEDUP:
            objections.append(f"{speedup:.2f} × {plain.value} in speed, {LEAST_SPEEDUP:g} needed")
    return replace(found, judgement=judgement.model_copy(update={"objections": objections, "speedup": speedup}))


def _timed(workshop: Workshop, found: Candidate, plain: Precision, reference: Reference, provider: Provider) -> float:
    with refusal_in_one_line(plain):
        other = workshop.graph(plain, reference)
    checkpoint = workshop.checkpoint
    with workshop.step(f"Timing {found.precision.value} beside {plain.value}", 1) as advance:
        ratio = measure_speedup(
            found.folder,
            other,
            reference.sentences,
            checkpoint.max_length,
            checkpoint.pad_token_id,
            checkpoint.token_types,
            provider,
        )
        advance(1)
    return ratio


def _facts(found: Candidate) -> list[str]:
    """What was found, each a line."""
    judgement = found.judgement
    if judgement is None:
        return []
    name, sentences = found.precision.value, judgement.judged[0]
    facts = [f"judged on {sentences.texts} sentences in {judgement.groups} groups ({sentences.origin})"]
    if judgement.figures:
        figures = (
            f"{spoken(figure)} {change.value:+.4f} (at worst {change.at_worst:+.4f})"
            for figure, change in judgement.figures.items()
        )
        facts.append(f"{', '.join(figures)}, {judgement.margin:g} allowed")
    facts += [
        f"{texts.changes} of {texts.texts} answers change, {texts.confident_changes} where PyTorch is sure"
        + (f" ({texts.origin})" if texts is not sentences else "")
        for texts in judgement.judged
    ]
    if judgement.speedup is not None:
        facts.append(f"{judgement.speedup:.2f} × fp32 in batches of {BATCH_SIZE} on this machine")
    if judgement.objections:
        facts.append(f"not right enough ({'; '.join(judgement.objections)})")
    else:
        facts.append("answers as fp32 does")
    return [f"{name}: {fact}" for fact in facts]
