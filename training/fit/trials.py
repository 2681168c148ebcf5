"""Which settings do best on validation? Optuna tries some, gives up early on those that lag behind, and remembers all.

The study is a SQLite file beside the output, which `optuna-dashboard` shows too. The test data is not looked at.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import optuna
from optuna.trial import TrialState
from sqlalchemy import URL
from transformers import TrainerCallback

from repository.console import Console
from repository.figures import NAMES
from repository.manifest import ProblemType
from training.data.load import TrainingData
from training.encoders.base_model import BaseModel
from training.figures.scores import CHOSEN_BY
from training.fit.checkpoints import ResumeError, Run, description_of, difference
from training.fit.epoch_table import line
from training.fit.predict import DivergedError
from training.fit.train import Learner
from training.settings import Settings

_STUDY = "settings"
_DESCRIPTION = "description"
# What is tried: two steps around the usual rates of fine-tuning (Devlin et al., 2019), and what changes how long it
# takes or how sure of itself it is.
_RATES = (1e-5, 3e-4)
_BATCHES = (8, 16, 32, 64)
_FROZEN = (0.0, 0.25, 0.5)
_SMOOTHING = (0.0, 0.2)
# Trials that run to their end before others are measured by them, and epochs of a trial that tell nothing yet.
_STARTING, _WARMING_UP = 4, 1


class NoTrialError(ValueError):
    """No trial came to its end."""


def trials_file(output: Path) -> Path:
    """Where the study of an output is."""
    return output.with_name(f"{output.name}.trials.sqlite3")


def search(
    data: TrainingData,
    base: BaseModel,
    settings: Settings,
    count: int,
    output: Path,
    run: Run,
    resume: bool,
    console: Console,
) -> tuple[Settings, dict[str, Any]]:
    """Try `count` settings, those given first, and return the best with what the report says of the search.

    Args:
        data: read and split; train and validation are used.
        base: read and checked.
        settings: what is not tried is as it says; its epochs are tried up to twice as many.
        count: of trials; those of an earlier search that is gone on with are counted.
        output: the study is beside it.
        run: its folder is used while a trial runs.
        resume: go on with the study that is there.
        console: gets a line for each trial.

    Raises:
        ResumeError: the study that is there is of another data, base model or settings.
        NoTrialError: all of them diverged.
        KeyboardInterrupt: what was found is kept.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = _study(output, data.task, settings.seed, resume)
    _check_description(study, description_of(settings, data, base), output)
    tried = _tried(settings, data)
    if not study.trials:
        study.enqueue_trial({name: asdict(settings)[name] for name in tried})
    table = _Table(console, data.task, list(tried))
    for number in range(len(_counted(study)) + 1, count + 1):
        trial = study.ask(tried)
        start = perf_counter()
        with _told(study, trial) as values:
            of_trial = replace(settings, **trial.params)
            bar = f"trial {number} of {count}"
            learner = Learner(data, base, of_trial, run.trainer_folder, console, keep=False, step=bar)
            learner.trainer.add_callback(_Reports(trial, data.task, values))
            learner.train()
        table.add(number, study, trial.number, perf_counter() - start)
    if not study.get_trials(states=(TrialState.COMPLETE,)):
        raise NoTrialError("no trial came to its end: give another --learning-rate or --base-model")
    console.print("The best settings are trained now.")
    return replace(settings, **study.best_trial.params), _summary(study, data.task)


def _tried(settings: Settings, data: TrainingData) -> dict[str, optuna.distributions.BaseDistribution]:
    rates = (min(_RATES[0], settings.learning_rate), max(_RATES[1], settings.learning_rate))
    batches = sorted({size for size in _BATCHES if size <= len(data.splits["train"])} | {settings.batch_size})
    tried: dict[str, optuna.distributions.BaseDistribution] = {
        "learning_rate": optuna.distributions.FloatDistribution(*rates, log=True),
        "epochs": optuna.distributions.IntDistribution(1, 2 * settings.epochs),
        "batch_size": optuna.distributions.CategoricalDistribution(batches),
        "frozen_share": optuna.distributions.CategoricalDistribution(sorted({*_FROZEN, settings.frozen_share})),
    }
    if data.task is not ProblemType.REGRESSION:
        smoothing = (_SMOOTHING[0], max(_SMOOTHING[1], settings.label_smoothing))
        tried["label_smoothing"] = optuna.distributions.FloatDistribution(*smoothing)
        tried["class_weights"] = optuna.distributions.CategoricalDistribution(["none", "balanced"])
    return tried


def _study(output: Path, task: ProblemType, seed: int, resume: bool) -> optuna.Study:
    path = trials_file(output)
    if not resume:
        path.unlink(missing_ok=True)
    url = URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)
    study = optuna.create_study(
        storage=url,
        study_name=_STUDY,
        direction="maximize" if CHOSEN_BY[task][1] else "minimize",
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_STARTING),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTING, n_warmup_steps=_WARMING_UP),
        load_if_exists=True,
    )
    for trial in study.get_trials(states=(TrialState.RUNNING,)):  # of a process that was killed
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
    return study


def _check_description(study: optuna.Study, description: dict[str, Any], output: Path) -> None:
    before = study.user_attrs.get(_DESCRIPTION, description)
    if before != description:
        raise ResumeError(
            f"--resume: the trials in {trials_file(output)} were made with {difference(before, description)}."
        )
    study.set_user_attr(_DESCRIPTION, description)


def _counted(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    found: list[optuna.trial.FrozenTrial] = study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    return found


@contextmanager
def _told(study: optuna.Study, trial: optuna.Trial) -> Iterator[list[float]]:
    """Tell the study how a trial ended, by the values that it gave."""
    values: list[float] = []
    best = max if study.direction is optuna.study.StudyDirection.MAXIMIZE else min
    try:
        yield values
        study.tell(trial, best(values))
    except (optuna.TrialPruned, DivergedError):
        study.tell(trial, state=TrialState.PRUNED)
    except BaseException:  # Ctrl-C: it is tried again
        study.tell(trial, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)
        raise


class _Reports(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Tells Optuna each epoch's figure, and ends a trial that lags behind the others."""

    def __init__(self, trial: optuna.Trial, task: ProblemType, values: list[float]) -> None:
        self._trial = trial
        self._chosen_by = CHOSEN_BY[task][0]
        self._values = values

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        self._values.append(metrics[f"eval_{self._chosen_by}"])
        self._trial.report(self._values[-1], step=len(self._values))
        if len(self._values) < args.num_train_epochs and self._trial.should_prune():
            raise optuna.TrialPruned


class _Table:
    """A line for each trial."""

    def __init__(self, console: Console, task: ProblemType, names: list[str]) -> None:
        self._console = console
        self._names = names
        self._columns = ["trial", NAMES[CHOSEN_BY[task][0]], *(name.replace("_", " ") for name in names), "seconds"]
        self._begun = False

    def add(self, number: int, study: optuna.Study, place: int, seconds: float) -> None:
        if not self._begun:
            self._console.print(line(self._columns, self._columns))
            self._begun = True
        trial = study.trials[place]
        complete = study.get_trials(states=(TrialState.COMPLETE,))
        value = "given up" if trial.value is None or trial.state is TrialState.PRUNED else f"{trial.value:.3f}"
        chosen = [trial.params[name] for name in self._names]
        shown = [f"{value:.3g}" if isinstance(value, float) else str(value) for value in chosen]
        best = "  best" if complete and study.best_trial.number == place else ""
        self._console.print(line(self._columns, [str(number), value, *shown, f"{seconds:.0f}"]) + best)


def _summary(study: optuna.Study, task: ProblemType) -> dict[str, Any]:
    trials = _counted(study)
    return {
        "chosen_by": f"validation {CHOSEN_BY[task][0]}",
        "best": round(study.best_value, 4),
        "given_up": sum(trial.state is TrialState.PRUNED for trial in trials),
        "trials": [
            {"value": None if trial.state is TrialState.PRUNED else round(trial.value or 0.0, 4), **trial.params}
            for trial in trials
        ],
    }
