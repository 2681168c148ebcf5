"""Is a receipt right? Signature, version, input and answer, in this order; the first check that fails ends it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gateway.encoding import Text
from gateway.ranking import ranked
from gateway.receipts.anew import Computed, Found, Graph, Repository
from gateway.receipts.errors import CheckError, Outcome
from gateway.receipts.given import Given
from gateway.receipts.sealed import Sealed, input_digest
from gateway.receipts.statement import UNKNOWN, Kernels, Statement, best_label, bits_of
from gateway.schemas import PLAIN
from repository.inference import Float32Array, scores
from repository.manifest import Manifest, Precision, ProblemType
from repository.tolerances import Provider, replay_bound, unit_of

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

Verdict = Literal["same", "within tolerance", "not computed", "failed"]

SCORE_TOLERANCE = 2e-6
"""By which a score may differ from the signed logits' softmax: NumPy's exp is another by processor, in a last bit."""
DERIVED_BY = frozenset({"model", "top_k", "truncate", "version", "long_text", "window_join"})
"""Options by which an answer is derived anew from its logits; one that was asked with others is signed alone."""


@dataclass
class Finding:
    """What was found of one receipt."""

    outcome: Outcome = Outcome.NOT_COMPUTED
    verdict: Verdict = "not computed"
    said: list[str] = field(default_factory=list)
    """A line for each check, for people; the last one is the verdict."""
    statement: Statement | None = None
    """What the receipt states; None unless its signature is right."""
    difference: float | None = None
    """The largest difference of a logit, where the answer was computed anew."""
    bound: float | None = None
    """Most that it may differ by."""


class Checks:
    """Checks receipts against keys and a repository."""

    def __init__(self, keys: Mapping[str, "Ed25519PublicKey"], repository: Repository, exact: bool = False) -> None:
        """`exact` refuses an answer that is within the tolerance, but not the same bits."""
        self._keys = keys
        self._repository = repository
        self._exact = exact

    def check(self, given: Given, text: Text | None) -> Finding:
        """Check one receipt; without its text, as far as that goes.

        Raises:
            NoReceiptError: it is none.
            RepositoryError: the repository cannot be asked, or the graph not opened.
        """
        finding = Finding()
        try:
            self._check(given, text, finding)
        except CheckError as error:
            finding.outcome, finding.verdict = error.outcome, "failed"
            finding.said.append(f"Failed: {error}.")
        return finding

    def _check(self, given: Given, text: Text | None, finding: Finding) -> None:
        sealed = Sealed.parse(given.receipt)
        self._check_signature(sealed)
        statement = finding.statement = Statement.parse(sealed.payload)
        say = finding.said.append
        say(f"Signature: right, by key {sealed.key_id}, {statement.time}, request {statement.request_id}.")
        if given.has_answer and given.answer != statement.answer:
            raise CheckError(Outcome.OTHER_ANSWER, "the answer beside the receipt is not the one that was signed")
        found = self._repository.find(statement)
        say(f"Version: {found.number} of {statement.model}{f' ({found.note})' if found.note else ''}.")
        _check_facts(statement, found)
        if text is None or sealed.salt is None:
            missing = "the text was not given" if text is None else "the receipt's salt was cut off"
            say(f"Signature and version are right, but the answer was not computed anew: {missing}.")
            return
        _check_input(statement, text, sealed.salt)
        say("Input: the text that was classified.")
        graph = self._repository.graph(found, statement.answered_by, statement.computed_by.provider == "cuda")
        computed = graph.logits(text, bool(statement.options.get("truncate", True)))
        _check_tokens(statement, computed)
        self._compare(statement, graph, computed, finding)

    def _check_signature(self, sealed: Sealed) -> None:
        from cryptography.exceptions import InvalidSignature

        key = self._keys.get(sealed.key_id)
        if key is None:
            trusted = ", ".join(sorted(self._keys))
            reason = f"the receipt is signed by key {sealed.key_id[:80]}; you trust {trusted}"
            raise CheckError(Outcome.UNKNOWN_KEY, reason)
        try:
            key.verify(sealed.signature, sealed.signed)
        except InvalidSignature:
            raise CheckError(
                Outcome.BAD_SIGNATURE, "the signature does not fit: the receipt was changed, or the key did not sign it"
            ) from None

    def _compare(self, statement: Statement, graph: Graph, computed: Computed, finding: Finding) -> None:
        signed = statement.logit_values()
        finding.bound = bound_of(statement, graph)
        finding.difference = float(np.abs(signed - computed.logits).max())
        if bits_of(computed.logits) == statement.logits:
            finding.outcome, finding.verdict = Outcome.SAME, "same"
            finding.said.append(f"Answer: computed anew, bit for bit the same ({len(statement.logits)} logits).")
            return
        apart = f"logits differ by up to {finding.difference:.3g}, {finding.bound:.3g} allowed"
        kernels = differing_kernels(statement.computed_by, graph.kernels)
        if not finding.difference <= finding.bound:
            raise CheckError(Outcome.OTHER_ANSWER, f"computed anew, the answer is another: {apart} ({kernels})")
        if self._exact:
            raise CheckError(Outcome.OTHER_ANSWER, f"computed anew, the bits are not the same: {apart} ({kernels})")
        finding.outcome, finding.verdict = Outcome.SAME, "within tolerance"
        best = best_label(computed.logits, statement.labels)
        changed = "" if best == best_label(signed, statement.labels) else f"; the best label would be {best} here"
        within = "Answer: computed anew, within the tolerance, not bit for bit"
        finding.said.append(f"{within}: {apart} ({kernels}){changed}.")


def _check_facts(statement: Statement, found: Found) -> None:
    """Raise CheckError unless the statement fits the version, and its answer its logits."""
    if statement.labels != found.manifest.labels:
        raise CheckError(Outcome.OTHER_ANSWER, "the labels are not those of the version")
    if len(statement.logits) != len(statement.labels) or not np.isfinite(statement.logit_values()).all():
        raise CheckError(Outcome.OTHER_ANSWER, "the logits are not one number for each label")
    if statement.answered_by == "student":
        _check_student(statement, found.manifest)
    if _is_derived(statement.options):
        own = own_answer(statement, found.manifest)
        if not _equal(own, statement.answer):
            raise CheckError(Outcome.OTHER_ANSWER, "the answer does not follow from the logits beside it")


def _check_student(statement: Statement, manifest: Manifest) -> None:
    """Raise CheckError if the student was not as sure as it has to be. (The bar may have been a stricter one.)"""
    if manifest.cascade is None:
        raise CheckError(Outcome.OTHER_ANSWER, "a student is said to have answered: the version has none")
    confidence = float(_scores(statement.logit_values(), ProblemType.SINGLE_LABEL).max())
    bar = manifest.cascade.bars[0].bar
    if confidence < bar - SCORE_TOLERANCE:
        reason = f"the student is said to have answered, though its confidence, {confidence:.3g}, is below {bar:g}"
        raise CheckError(Outcome.OTHER_ANSWER, reason)


def _is_derived(options: Mapping[str, Any]) -> bool:
    """Whether an answer follows from the logits by what this module knows of."""
    usual = PLAIN.model_dump(mode="json")
    # What a server's settings may say in place of the request: `false` is as good as not given.
    return all(name in DERIVED_BY or usual.get(name, ...) in (value, value or None) for name, value in options.items())


def own_answer(statement: Statement, manifest: Manifest) -> Any:
    """What is answered for the signed logits."""
    top_k = statement.options.get("top_k")
    values = _scores(statement.logit_values(), manifest.problem_type)
    threshold = statement.threshold if isinstance(statement.threshold, float) else np.array(statement.threshold or 0.0)
    return ranked(values, manifest, top_k if isinstance(top_k, int) else None, threshold)


def _scores(logits: Float32Array, problem_type: ProblemType) -> Float32Array:
    found: Float32Array = scores(logits[np.newaxis], problem_type)[0]
    return found


def _equal(own: Any, signed: Any) -> bool:
    """Whether two answers are the same but for the last bits of their scores, by which a tie may be ordered."""
    try:
        theirs = {each["label"]: float(each["score"]) for each in signed}
    except (KeyError, TypeError, ValueError):
        return False
    ours = {each["label"]: each["score"] for each in own}
    return (
        len(signed) == len(own)
        and theirs.keys() == ours.keys()
        and all(abs(ours[name] - theirs[name]) <= SCORE_TOLERANCE * max(1.0, abs(ours[name])) for name in ours)
    )


def _check_input(statement: Statement, text: Text, salt: bytes) -> None:
    if statement.texts != (1 if text.second is None else 2):
        asked = "a pair of texts" if statement.texts == 2 else "one text"
        raise CheckError(Outcome.OTHER_INPUT, f"{asked} was classified, another number is given")
    try:
        is_same = input_digest(text, salt) == statement.input_digest
    except UnicodeEncodeError:  # of bytes on the command line that are no UTF-8, or half a surrogate pair in JSON
        is_same = False
    if not is_same:
        raise CheckError(Outcome.OTHER_INPUT, "the text is not the one that was classified, or the salt was changed")


def _check_tokens(statement: Statement, computed: Computed) -> None:
    if (computed.tokens, computed.cut_tokens) != (statement.tokens, statement.cut_tokens):
        raise CheckError(
            Outcome.OTHER_ANSWER,
            f"the text has {computed.tokens} tokens here, and {computed.cut_tokens} are cut; "
            f"{statement.tokens} and {statement.cut_tokens} were signed",
        )


def bound_of(statement: Statement, graph: Graph) -> float:
    """Most that a logit of this answer may differ by when it is computed anew here."""
    manifest, golden = graph.version.manifest, graph.golden
    is_student = statement.answered_by == "student" and manifest.cascade is not None
    precision = Precision(manifest.cascade.precision) if is_student and manifest.cascade else manifest.precision
    unit, anywhere = 1.0, None
    if golden is not None:
        unit = unit_of([sentence.logits for sentence in golden.sentences], manifest.problem_type)
        anywhere = golden.max_logit_difference
    served_on = statement.computed_by.provider
    provider = Provider(served_on) if served_on in set(Provider) else None
    is_same = provider is not None and provider == graph.kernels.provider
    return replay_bound(provider if is_same else None, precision, anywhere, unit) / graph.temperature


def differing_kernels(there: Kernels, here: Kernels) -> str:
    """What was other where it was answered, in a few words."""
    names: dict[str, Callable[[Kernels], str]] = {
        "ONNX Runtime": lambda each: each.onnxruntime,
        "provider": lambda each: each.provider,
        "processor": lambda each: each.cpu,
    }
    unknown = [name for name, of in names.items() if of(there) == UNKNOWN]
    other = [name for name, of in names.items() if of(there) not in (UNKNOWN, of(here))]
    parts = [f"another {' and '.join(other)}"] if other else []
    parts += [f"{' and '.join(unknown)} unknown"] if unknown else []
    return "; ".join(parts) or "the same kernels"
