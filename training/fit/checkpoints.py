"""What a killed run leaves to go on from: checkpoints in a folder beside the output, and what they were trained with.

`.classifier.training/` beside `classifier/` holds a folder for each run (one, as a rule), with `run.json`: settings,
data and base model, which must be the same for it to go on. A checkpoint of it holds the weights that are trained, the
optimizer's and the schedule's state, and that of the random numbers.
"""

import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repository.strict_json import strict_json
from training.data.load import TrainingData
from training.settings import Settings

if TYPE_CHECKING:
    from training.encoders.base_model import BaseModel

RUN_FILE = "run.json"
# The Trainer writes it last into a checkpoint: one without it is not whole.
STATE_FILE = "trainer_state.json"
# A base model's files are told from others by their size and so many samples of so many bytes.
_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16


class ResumeError(ValueError):
    """The interrupted run can't be gone on with; the message is one sentence for the person who asked for it."""


@dataclass
class Run:
    """A run's own folder, and the checkpoint that it goes on from."""

    folder: Path
    checkpoint: Path | None = None
    """Whole; None for a run that begins."""
    interrupted: str | None = None
    """How far an earlier run came that is not gone on with; its checkpoints stay until this run has one of its own."""
    others: list[Path] = field(default_factory=list)

    @property
    def trainer_folder(self) -> Path:
        """Where checkpoints are written."""
        return self.folder / "trainer"

    def saved(self) -> None:
        """Call it once this run has a checkpoint: those of earlier runs go."""
        while self.others:
            shutil.rmtree(self.others.pop(), ignore_errors=True)

    def discard(self) -> None:
        """Leave nothing to go on from."""
        shutil.rmtree(self.trainer_folder, ignore_errors=True)


def description_of(settings: Settings, data: TrainingData, base: "BaseModel") -> dict[str, Any]:
    """Return what has to be the same for a run to go on and give the model that it would have given."""
    splits = {name: [(e.text, e.target) for e in members] for name, members in data.splits.items()}
    content = json.dumps([splits, data.columns.as_json(), data.task.value, data.labels], ensure_ascii=False)
    return {
        "settings": asdict(settings),
        "data": hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest(),
        "base model": _digest_of_model(base),
    }


def _digest_of_model(base: "BaseModel") -> str:
    found = hashlib.sha256(base.config.to_json_string().encode() + base.tokenizer.backend_tokenizer.to_str().encode())
    folder = Path(base.name)
    if not folder.is_dir():
        found.update(base.name.encode())
    for path in sorted(folder.glob("*.safetensors")) if folder.is_dir() else []:
        size = path.stat().st_size
        found.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            for place in range(_SAMPLES):
                file.seek(size * place // _SAMPLES)
                found.update(file.read(_SAMPLE_BYTES))
    return found.hexdigest()


def interrupted_run(output: Path) -> str | None:
    """Say how far the run to `output` came that could be gone on with; None: there is none."""
    folders = _work_folder(output).glob("run-*")
    found = [checkpoint for folder in folders if (checkpoint := last_checkpoint(folder))]
    return progress_of(max(found, key=lambda checkpoint: checkpoint.stat().st_mtime)) if found else None


def _work_folder(output: Path) -> Path:
    return output.with_name(f".{output.name}.training")


@contextmanager
def run_folder(output: Path, description: dict[str, Any], resume: bool) -> Iterator[Run]:
    """Yield the folder of a run that will write `output`; what is in it stays for a later run unless this one ends.

    Args:
        output: of the run.
        description: what has to be the same for a run to go on, as JSON: `settings` by name, and other parts.
        resume: go on from the last checkpoint, if there is one.

    Raises:
        ResumeError: the interrupted run was of another description, or a run to the same output is going on.
    """
    work = _work_folder(output)
    work.mkdir(exist_ok=True)
    with (work / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go by the system, however a process ends
        except BlockingIOError:
            raise ResumeError(f"another run is writing to {output}: wait for it, or name another --output.") from None
        whole = False
        try:
            run = _chosen(work, description, resume)
            yield run
            whole = True
        finally:
            for folder in work.glob("run-*"):
                if whole or last_checkpoint(folder) is None:
                    shutil.rmtree(folder, ignore_errors=True)
            if not any(work.glob("run-*")):
                shutil.rmtree(work, ignore_errors=True)


def _chosen(work: Path, description: dict[str, Any], resume: bool) -> Run:
    description = json.loads(json.dumps(description))
    earlier = []
    for folder in work.glob("run-*"):
        if checkpoint := last_checkpoint(folder):
            earlier.append((checkpoint.stat().st_mtime, folder, checkpoint))
        else:
            shutil.rmtree(folder, ignore_errors=True)
    others = [folder for _, folder, _ in sorted(earlier)]
    if resume and earlier:
        _, folder, checkpoint = max(earlier)
        if other := difference(json.loads((folder / RUN_FILE).read_text(encoding="utf-8")), description):
            raise ResumeError(f"--resume: the interrupted run was another one: {other}.")
        _prepare(checkpoint)
        return Run(folder, checkpoint, others=[other for other in others if other != folder])
    folder = Path(tempfile.mkdtemp(prefix="run-", dir=work))
    (folder / RUN_FILE).write_text(strict_json(description), encoding="utf-8")
    interrupted = progress_of(max(earlier)[2]) if earlier else None
    return Run(folder, None, interrupted, others)


def last_checkpoint(run: Path) -> Path | None:
    """Return the latest whole checkpoint of a run."""
    found = sorted((run / "trainer").glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    return next((path for path in reversed(found) if _state(path)), None)


def progress_of(checkpoint: Path) -> str:
    """Say how far a checkpoint is."""
    state = _state(checkpoint)
    return f"epoch {state.get('epoch', 0):.1f} of {state.get('num_train_epochs', 0)}"


def is_finished(checkpoint: Path) -> bool:
    """Return whether training had come to its end: what was missing was the evaluation."""
    control = _state(checkpoint).get("stateful_callbacks", {}).get("TrainerControl", {})
    return bool(control.get("args", {}).get("should_training_stop"))


def _state(checkpoint: Path) -> dict[str, Any]:
    try:
        state = json.loads((checkpoint / STATE_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state if isinstance(state, dict) else {}


def _prepare(checkpoint: Path) -> None:
    """Take away what was written in part after it, and mend the path of the best one: the folder may have moved."""
    step = int(checkpoint.name.rpartition("-")[2])
    for other in checkpoint.parent.glob("checkpoint-*"):
        if int(other.name.rpartition("-")[2]) > step:
            shutil.rmtree(other)
    state = _state(checkpoint)
    if best := state.get("best_global_step"):
        state["best_model_checkpoint"] = str(checkpoint.parent / f"checkpoint-{best}")
        mended = checkpoint / f"{STATE_FILE}.new"
        mended.write_text(strict_json(state), encoding="utf-8")
        mended.replace(checkpoint / STATE_FILE)


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Say in what two runs differ by their descriptions; empty if in nothing."""
    old, new = before.get("settings", {}), now.get("settings", {})
    changed = [
        f"--{name.replace('_', '-')} was {old.get(name)} and is {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    changed += [
        f"the {name} is not the same"
        for name in sorted({*before, *now} - {"settings"})
        if before.get(name) != now[name]
    ]
    return ", ".join(changed)
