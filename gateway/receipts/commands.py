"""What do `python -m gateway verify` and `python -m gateway receipt-key` take and print?"""

import os
import signal
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gateway.encoding import Text
from gateway.receipts.anew import Repository
from gateway.receipts.checks import Checks, Finding
from gateway.receipts.errors import KeyFileError, NoReceiptError
from gateway.receipts.given import STDIN, Given, classified, receipts_in, texts_in
from gateway.receipts.keys import make_key, public_file, read_public_keys
from repository.command_options import Repository as RepositoryOption
from repository.command_options import store_of
from repository.console import Console
from repository.exit_status import FAILED, INTERRUPTED, fail, one_line
from repository.manifest import RepositoryError
from repository.missing import extra_named
from repository.option_class import takes_option_class
from repository.spelling import as_called
from repository.strict_json import strict_json

KEY_VARIABLE = "RECEIPT_KEY"
SHOWN = 20
"""Most receipts of many that are told of one by one."""

console = Console()


@dataclass(frozen=True, kw_only=True)
class VerifyOptions:
    """Those of `verify`, in the order of --help."""

    receipt: Annotated[
        str,
        typer.Argument(
            metavar="RECEIPT",
            help="A file with an answer and its receipt, a list of such answers, or receipts, one a line; `-` is "
            "standard input. Or a receipt itself.",
        ),
    ]
    sentence: Annotated[str | None, typer.Option(help="The text that was classified.")] = None
    text_pair: Annotated[str | None, typer.Option(help="Its second text, if it was a pair.")] = None
    sentences: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The texts of several receipts, in their order: one a line, or the JSON that was sent to POST "
            "/classify; `-` is standard input.",
        ),
    ] = None
    key: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PUBLIC",
            help="A key that you trust: PEM, or JSON as GET /receipts/key gives it. Again for several, as after a "
            "change of keys (default: that of env RECEIPT_KEY).",
        ),
    ] = None
    exact: Annotated[bool, typer.Option("--exact", help="Take no answer that is not the same bit for bit.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON, a list.")] = False
    repository: RepositoryOption = None
    model: Annotated[
        str | None, typer.Option("--model", help="Name of the model (default: the one that the receipt names).")
    ] = None

    def texts(self) -> list[Text] | None:
        """The texts that were given, if any."""
        if self.text_pair is not None and self.sentence is None:
            fail("--text-pair goes with --sentence; pairs in a file are the JSON that was sent")
        if self.sentences is None:
            return None if self.sentence is None else [classified(self.sentence, self.text_pair)]
        if self.sentence is not None:
            fail("give --sentence or --sentences, not both")
        if self.sentences == STDIN == self.receipt:
            fail("standard input is one thing: the receipts or the texts")
        return texts_in(self.sentences)

    def keys(self) -> Sequence[Path]:
        """Files of the keys that are trusted."""
        if self.key:
            return self.key
        own = os.environ.get(KEY_VARIABLE)
        if not own:
            fail(f"no key is trusted: give --key PUBLIC, the public key of the gateway, or set {KEY_VARIABLE}")
        return [Path(own)]


def receipt_key(
    file: Annotated[Path, typer.Argument(metavar="NEW_FILE", help="File to write; it must not be there yet.")],
) -> None:
    """Make a key that a gateway signs receipts with.

    The private key is written to NEW_FILE, which you alone may read, and its public half to NEW_FILE.pub, which you
    give to whoever checks receipts. A file that is there is never replaced. The gateway is started with
    RECEIPT_KEY=NEW_FILE.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with extra_named("gateway"):
            key = make_key(file)
    except KeyFileError as error:
        fail(error)
    except KeyboardInterrupt:
        fail("Stopped: no key was made", INTERRUPTED)
    console.print(f"Key {key.key_id} is in {file}: start the gateway with {KEY_VARIABLE}={file}")
    console.print(f"Its public half is in {public_file(file)}: {as_called('python -m gateway verify')} --key takes it")


@takes_option_class
def verify(given: VerifyOptions) -> None:
    """Check a receipt: signature, version and input; then compute the answer anew and compare.

    The version's files are read from the repository, a folder or S3, and computed with ONNX Runtime in this process,
    as the embedded Triton computes them. An answer is the same bit for bit, or within the stated tolerance (another
    processor or ONNX Runtime may round otherwise), or another.

    Exit status: 0 the same, or within the tolerance; 1 the check could not be done; 2 no receipt, or a wrong option;
    3 bad signature; 4 unknown key; 5 the version is not in the repository; 6 another input; 7 another answer; 8 the
    text was not given, so that signature and version are right, but nothing was computed; 130 interrupted. Of several
    receipts the first that is not right decides.

    For example: python -m gateway verify answer.json --sentence "Mapa aprende un nuevo lenguaje" --key receipts.key.pub
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with extra_named("gateway"):
            findings = _findings(given)
    except (KeyFileError, NoReceiptError) as error:
        fail(error)
    except RepositoryError as error:
        fail(one_line(error), FAILED)
    except KeyboardInterrupt:
        fail("Stopped: nothing is said of the receipt", INTERRUPTED)
    if given.as_json:
        console.json(strict_json([_as_json(each) for each in findings], indent=2, ensure_ascii=False))
    else:
        _tell(findings)
    raise typer.Exit(next((int(each.outcome) for each in findings if each.outcome), 0))


def _findings(given: VerifyOptions) -> list[Finding]:
    texts, keys = given.texts(), read_public_keys(given.keys())
    receipts = receipts_in(given.receipt)
    if texts is not None and len(texts) != len(receipts):
        fail(f"{len(receipts)} receipts and {len(texts)} texts do not go together: give one text for each")
    with Repository(lambda named: store_of(given.repository, given.model or named)) as versions:
        checks, findings = Checks(keys, versions, given.exact), []
        with Console(stderr=True).progress("Computing anew", len(receipts), remaining=True, transient=True) as done:
            for place, each in enumerate(receipts):
                text = None if texts is None else texts[place]
                findings.append(_finding(checks, each, text, place if len(receipts) > 1 else None))
                done(1)
        return findings


def _finding(checks: Checks, given: Given, text: Text | None, place: int | None) -> Finding:
    """What was found of one receipt, which errors call by its place if there are several."""
    try:
        return checks.check(given, text)
    except NoReceiptError as error:
        raise NoReceiptError(str(error) if place is None else f"receipt {place + 1}: {error}") from None


def _tell(findings: Sequence[Finding]) -> None:
    if len(findings) == 1:
        for line in findings[0].said:
            console.print(line)
        return
    wrong = [(place, each) for place, each in enumerate(findings, start=1) if each.outcome]
    for place, each in wrong[:SHOWN]:
        console.print(f"Receipt {place}: {each.said[-1]}")
    if len(wrong) > SHOWN:
        console.print(f"and {len(wrong) - SHOWN} more, which --json shows")
    counted = Counter(each.verdict for each in findings)
    named = {"same": "bit for bit the same"}
    parts = [f"{count:,} {named.get(verdict, verdict)}" for verdict, count in counted.most_common()]
    console.print(f"{len(findings):,} receipts: {', '.join(parts)}.")


def _as_json(finding: Finding) -> dict[str, object]:
    return {
        "verdict": finding.verdict,
        "exit_status": int(finding.outcome),
        "said": finding.said,
        "largest_difference": finding.difference,
        "allowed": finding.bound,
        "receipt": None if finding.statement is None else finding.statement.model_dump(mode="json"),
    }
