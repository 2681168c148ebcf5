"""What a version carries for those who judge it or train it further: parity, golden sentences, split, report."""

import shutil
from typing import TYPE_CHECKING

from export.parity.golden import write_golden
from export.parity.report import write_report
from repository.manifest import CARD_FILE, REPORT_PAGE, WEIGHTS_FILE

if TYPE_CHECKING:
    from export.checkpoint.load import Checkpoint
    from export.parity.measure import Reference
    from export.version.candidate import Candidate

# As `python -m training` writes them into a checkpoint.
REPORT_FILES = (REPORT_PAGE, CARD_FILE, "training_report.json")
# A page that somebody put there is no reason to make each version a hundred megabytes larger.
MOST_REPORT_BYTES = 32 * 1024 * 1024


def write_evidence(chosen: "Candidate", checkpoint: "Checkpoint", golden: "Reference | None", found: list[str]) -> None:
    """Write the files into the folder of the graph that was chosen.

    Args:
        chosen: the graph, with what was measured of it.
        checkpoint: where it comes from.
        golden: answers of which golden sentences are chosen; None: the version has none.
        found: what is outside the tolerance.
    """
    if golden is not None:
        write_golden(chosen.folder, checkpoint, golden, chosen.precision)
    if checkpoint.split is not None:
        checkpoint.split.write(chosen.folder)
    if checkpoint.weights:
        (chosen.folder / WEIGHTS_FILE).write_text(checkpoint.weights, encoding="utf-8")
    _copy_report(chosen, checkpoint)
    if chosen.sweep is not None:
        write_report(
            chosen.folder,
            chosen.precision,
            chosen.provider,
            chosen.tolerance,
            found,
            chosen.parity,
            chosen.evaluation,
            chosen.sweep,
        )


def _copy_report(chosen: "Candidate", checkpoint: "Checkpoint") -> None:
    """A checkpoint from elsewhere may have a model card of its own, or none of the files."""
    if checkpoint.report_folder is None:
        return
    for name in REPORT_FILES:
        path = checkpoint.report_folder / name
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MOST_REPORT_BYTES:
            shutil.copyfile(path, chosen.folder / name)
