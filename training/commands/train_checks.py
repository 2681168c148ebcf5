"""What the task, the data or the machine has no use for is refused before training begins."""

import importlib.util
from collections import Counter

from repository.console import Console
from repository.manifest import ProblemType
from repository.names import is_version_name
from training.commands.train_options import MOST_OF_A_CLASS, NEWEST, SERVED
from training.data.load import TrainingData
from training.settings import Settings


class UserError(ValueError):
    """Something on the command line can't be used."""


def check_start(from_version: str | None, base_model: str | None) -> None:
    """Raise unless one thing at most says what training begins with.

    Raises:
        UserError: both options are given, or `--from-version` can't be a version.
    """
    if from_version is None:
        return
    if base_model is not None:
        raise UserError("--from-version and --base-model (BASE_MODEL) both say what to begin with: give one of them.")
    if from_version not in (NEWEST, SERVED) and not is_version_name(from_version):
        raise UserError(f"--from-version {from_version}: give a version's number, {NEWEST} or {SERVED}.")


def check_settings(settings: Settings, data: TrainingData, trials: int | None) -> None:
    """Refuse what the task or the machine has no use for.

    Raises:
        UserError: one line says what, and why.
    """
    from training.fit.trainer import refused_precision

    if data.task is ProblemType.REGRESSION and settings.label_smoothing:
        raise UserError("--label-smoothing: a number has no labels among which it could be spread.")
    if data.task is ProblemType.REGRESSION and settings.class_weights != "none":
        raise UserError("--class-weights: a number has no classes that could be weighted.")
    if reason := refused_precision(settings.mixed_precision):
        raise UserError(f"{reason}.")
    if settings.lora_rank and importlib.util.find_spec("peft") is None:
        raise UserError("--lora needs PEFT: pip install 'text-classifier-server[adapters]'.")
    if settings.few_shot:
        _check_few_shot(settings, data, trials)
    if trials and importlib.util.find_spec("optuna") is None:
        raise UserError("--trials needs Optuna: pip install 'text-classifier-server[train]'.")


def _check_few_shot(settings: Settings, data: TrainingData, trials: int | None) -> None:
    if data.task is not ProblemType.SINGLE_LABEL:
        raise UserError(
            "--few-shot: texts are pulled together by their one label; here a text has several, or a number."
        )
    clashing = {"--lora": settings.lora_rank, "--trials": trials, "--label-smoothing": settings.label_smoothing}
    for name, given in clashing.items():
        if given:
            raise UserError(f"--few-shot and {name} can't be had together.")
    counts = Counter(example.target for example in data.splits["train"])
    least, most = min(counts.values()), max(counts.values())
    if least < 2:
        raise UserError(
            f"--few-shot needs two texts of each class to train on; {min(counts, key=counts.__getitem__)} has one."
        )
    if most > MOST_OF_A_CLASS:
        Console(stderr=True).print(
            f"Warning: there are up to {most} texts of a class; with more than {MOST_OF_A_CLASS}, fine-tuning without "
            "--few-shot is as good and quicker."
        )
