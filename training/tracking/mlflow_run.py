"""A checkpoint as a run of MLflow: its report's figures, its files, and the model as `mlflow.transformers` logs one."""

import importlib.metadata
import json
import logging
import os
import re
import shutil
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pretrained.files import CONFIG
from repository.figures import NAMES
from repository.spelling import as_called
from training.report.contents import PACKAGES, REPORT_FILE
from training.tracking.log import LOCAL_ARTIFACTS, URI, TrackedRun, TrackingError, without_password

EXPERIMENT = "text-classifier"
MODEL = "model"
# Of a checkpoint, what is for people or other programs and no part of the model.
REPORT_FILES = (REPORT_FILE, "report.html", "README.md", "split.json", "predictions.jsonl")
_REACHED_WITHIN_SECONDS = 5
# MLflow's own are seven tries of two minutes each.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
_QUIET = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", "MLFLOW_DISABLE_TELEMETRY": "true", "HF_HUB_OFFLINE": "1"}
_QUIET |= {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}
# That say they are one version: several repositories may log to one server.
_MOST_RUNS = 3
_METRIC = re.compile(r"[^\w./ -]")


def log_checkpoint(checkpoint: Path, uri: str) -> TrackedRun:
    """Log a checkpoint as a new run.

    Args:
        checkpoint: whole, with its `training_report.json`.
        uri: of MLflow's store or server.

    Raises:
        TrackingError: MLflow is not installed, cannot be reached or refuses.
    """
    report = json.loads((checkpoint / REPORT_FILE).read_text(encoding="utf-8"))
    with _mlflow(uri) as mlflow:
        _choose_experiment(mlflow)
        name = f"{report['data']['file']}, {Path(report['base_model']).name}"[:250]
        with mlflow.start_run(run_name=name) as run:
            mlflow.log_params(_parameters(report))
            mlflow.set_tags({"task": report["task"], "checkpoint": checkpoint.name})
            for step, epoch in enumerate(report["epochs"], start=1):
                mlflow.log_metrics(_numbers(epoch, "by_epoch/"), step=step)
            mlflow.log_metrics(_figures(report))
            for file in REPORT_FILES:
                if (checkpoint / file).is_file():
                    mlflow.log_artifact(str(checkpoint / file), "report")
            model_id = _log_model(mlflow, checkpoint)
        return TrackedRun(without_password(uri), run.info.run_id, model_id)


def log_version(run: TrackedRun, version: str) -> None:
    """Tag a run, and the model that it logged, with the version that was published from it.

    Args:
        run: of the checkpoint.
        version: `MODEL/NUMBER`.

    Raises:
        TrackingError: MLflow is not installed, cannot be reached or refuses.
    """
    with _mlflow(os.environ.get(URI) or run.uri) as mlflow:
        client = mlflow.MlflowClient()
        client.set_tag(run.run_id, "version", version)
        if run.model_id:
            client.set_logged_model_tags(run.model_id, {"version": version})


def fetch_checkpoint(
    uri: str, versions: Sequence[str], folder: Path, is_it: Callable[[Path], bool]
) -> tuple[Path, str] | None:
    """Download the checkpoint of the run that was told of a version.

    Args:
        uri: of MLflow's store or server.
        versions: `MODEL/NUMBER`; any of them will do.
        folder: takes what is downloaded.
        is_it: whether a folder is the checkpoint. Another repository's version may have the same name.

    Returns:
        Its folder and the run's id; None where no run has it.

    Raises:
        TrackingError: MLflow is not installed, cannot be reached or refuses.
    """
    with _mlflow(uri) as mlflow:
        for version in versions:
            for run in mlflow.search_runs(
                search_all_experiments=True,
                filter_string=f"tags.version = '{version}'",
                max_results=_MOST_RUNS,
                order_by=["attributes.start_time DESC"],
                output_format="list",
            ):
                copy = Path(tempfile.mkdtemp(dir=folder))
                found = Path(
                    mlflow.artifacts.download_artifacts(f"runs:/{run.info.run_id}/{MODEL}", dst_path=str(copy))
                )
                # As MLflow keeps a model of transformers, and as `_log_model` keeps an adapter.
                for checkpoint in (found / "model", found):
                    if is_it(checkpoint):
                        return checkpoint, run.info.run_id
                shutil.rmtree(copy)
    return None


@contextmanager
def _mlflow(uri: str) -> Iterator[Any]:
    """Yield MLflow, told where to log to, which says nothing on its own; what it raises becomes one sentence."""
    _check_reached(uri)
    for name, value in (_PATIENCE | _QUIET).items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    try:
        import mlflow
        import mlflow.transformers
    except ImportError as error:
        advice = as_called("run `pip install '.[track]'`")
        raise TrackingError(f"MLflow cannot be loaded ({error}): {advice}") from None
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        mlflow.set_tracking_uri(uri)
        yield mlflow
    except Exception as error:  # its own, SQLAlchemy's, requests' and the system's
        reason = without_password(" ".join(str(error).split())[:300])
        raise TrackingError(f"{without_password(uri)}: {type(error).__name__}: {reason}") from None


def _check_reached(uri: str) -> None:
    """Raise unless something answers at a server's address: MLflow itself would try for many minutes."""
    if not uri.startswith(("http://", "https://")):
        return
    plain = re.sub(r"(?<=//)[^/@]+@", "", uri).rstrip("/")
    try:
        with urllib.request.urlopen(f"{plain}/health", timeout=_REACHED_WITHIN_SECONDS):
            pass
    except urllib.error.HTTPError:
        pass  # it answers, if only that it wants a password
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise TrackingError(f"MLflow's server {without_password(uri)} cannot be reached ({reason})") from None


def _choose_experiment(mlflow: Any) -> None:
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
    if mlflow.get_tracking_uri().startswith("sqlite:") and mlflow.get_experiment_by_name(name) is None:
        mlflow.create_experiment(name, artifact_location=Path(LOCAL_ARTIFACTS).absolute().as_uri())
    mlflow.set_experiment(name)


def _log_model(mlflow: Any, checkpoint: Path) -> str:
    """Log the checkpoint's whole folder, with the record of its split; return the model's id.

    A LoRA adapter without its base is no model to `mlflow.transformers`: it is a folder of the run, and has no id.
    """
    if not (checkpoint / CONFIG).is_file():
        mlflow.log_artifacts(str(checkpoint), MODEL)
        return ""
    requirements = [f"{name}=={importlib.metadata.version(name)}" for name in PACKAGES if name != "scikit-learn"]
    logged = mlflow.transformers.log_model(
        str(checkpoint), name=MODEL, task="text-classification", pip_requirements=requirements
    )
    return str(logged.model_id)


def _parameters(report: Mapping[str, Any]) -> dict[str, Any]:
    data = report["data"]
    found = {
        **{name: value for name, value in report["settings"].items() if value is not None},
        "base_model": report["base_model"],
        "task": report["task"],
        "labels": len(report["labels"]),
        "data.file": data["file"],
        "data.sha256": data["sha256"],
        "data.split": data["split_kind"],
        "best_epoch": report["best_epoch"],
    }
    found |= {f"data.columns.{name}": value for name, value in data["columns"].items() if value}
    return found | {f"data.{split}": counts["examples"] for split, counts in data["splits"].items()}


def _figures(report: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for prefix, part in (("", report), ("baseline/", report.get("baseline") or {})):
        for split in ("validation", "test"):
            figures = part.get(split) or {}
            found |= _numbers({name: figures.get(name) for name in NAMES}, f"{prefix}{split}/")
    for label, of_class in (report["test"].get("per_class") or {}).items():
        found |= _numbers({"f1": of_class.get("f1")}, f"test/class/{_METRIC.sub('_', label)[:100]}/")
    return found | _numbers(report["seconds"], "seconds/")


def _numbers(figures: Mapping[str, Any], prefix: str) -> dict[str, float]:
    """Those that are numbers, by names that MLflow takes."""
    return {
        f"{prefix}{name}": float(value)
        for name, value in figures.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
