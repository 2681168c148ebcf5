"""Where a checkpoint's files are: a folder, a LoRA adapter, a model that MLflow logged, or the Hugging Face hub."""

import atexit
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import snapshot_download

from export import ExportError
from pretrained.files import CONFIG, has_weights
from repository.spelling import as_called
from training.tracking.log import without_password

ADAPTER_CONFIG = "adapter_config.json"
MLFLOW_MODEL = "MLmodel"
MLFLOW_ADDRESSES = ("models:/", "runs:/")
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")
# Everything a checkpoint needs; no pickled weights, no other formats, no subfolders.
HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.txt"]


@dataclass(frozen=True)
class Source:
    """Folders of one checkpoint.

    Attributes:
        name: what to call it in the manifest and in errors.
        model: folder of `config.json` and the weights, or of the adapter.
        tokenizer: folder of the tokenizer; the model's own but for MLflow.
        base: folder or hub id that an adapter belongs to, if it is not the one that adapter_config.json names.
    """

    name: str
    model: Path
    tokenizer: Path
    base: str | None = None

    @property
    def is_adapter(self) -> bool:
        """Whether the folder holds a PEFT adapter instead of a whole model, whose config.json may lie beside it."""
        return (self.model / ADAPTER_CONFIG).is_file() and not has_weights(self.model)


def find_source(source: str, trust_remote_code: bool = False) -> Source:
    """Find the files of a local folder, a hub id or a model in MLflow; these are downloaded unless they are here.

    Raises:
        ExportError: there is no checkpoint, or more than one.
    """
    if source.startswith(MLFLOW_ADDRESSES):
        return _in_folder(source, _from_mlflow(source))
    folder = Path(source)
    if folder.is_dir():
        return _in_folder(source, folder)
    if folder.exists():
        raise ExportError(f"{source} is a file: give the folder of a Hugging Face checkpoint")
    if not HUB_ID.fullmatch(source):
        raise ExportError(f"{source} does not exist")
    patterns = [*HUB_FILES, "*.py"] if trust_remote_code else HUB_FILES
    try:
        local = Path(snapshot_download(source, allow_patterns=patterns, ignore_patterns=["*/*"]))
    except Exception as error:  # the hub's client raises its own, httpx's and the system's errors
        reason = " ".join(str(error).split())[:200]
        raise ExportError(f"{source} is no folder here and cannot be loaded from the hub: {reason}") from None
    if not (local / CONFIG).is_file() and not (local / ADAPTER_CONFIG).is_file():
        raise ExportError(f"{source} holds no config.json: give the id of a Hugging Face checkpoint")
    return Source(source, local, local)


def _from_mlflow(source: str) -> Path:
    """Download what an address of MLflow's names into a folder that is gone when this process ends."""
    try:
        import mlflow
    except ImportError:
        advice = as_called("run `pip install '.[track]'`")
        raise ExportError(f"{source} is read by MLflow: {advice}") from None
    copy = tempfile.mkdtemp(prefix="mlflow-")
    atexit.register(shutil.rmtree, copy, ignore_errors=True)
    try:
        return Path(mlflow.artifacts.download_artifacts(source, dst_path=copy))
    except Exception as error:  # its own, SQLAlchemy's, requests' and the system's
        reason = without_password(" ".join(str(error).split())[:200])
        where = without_password(mlflow.get_tracking_uri())
        raise ExportError(f"{source} cannot be read from MLflow at {where}: {reason}") from None


def _in_folder(source: str, folder: Path) -> Source:
    name = folder.resolve().name
    if (folder / CONFIG).is_file() or (folder / ADAPTER_CONFIG).is_file():
        return Source(name, folder, folder)
    logged = _mlflow_models(folder)
    if len(logged) == 1:
        # MLflow 3 calls the folder of every model the same.
        own = folder.resolve().parent.name if name == "artifacts" else name
        return _logged_by_mlflow(own, logged[0])
    if logged:
        found = ", ".join(str(path.relative_to(folder) if path.is_relative_to(folder) else path) for path in logged)
        raise ExportError(f"{source} holds {len(logged)} MLflow models ({found}): give the folder of one")
    if inner := sorted(path.parent.name for path in folder.glob(f"*/{CONFIG}")):
        raise ExportError(f"{source} holds no config.json, but its folders do: give one of {', '.join(inner[:5])}")
    raise ExportError(f"{source} holds no config.json: give the folder of a Hugging Face checkpoint")


def _mlflow_models(folder: Path) -> list[Path]:
    """The model that was logged, whatever its folder is called; those of a run or an experiment.

    Up to MLflow 2 a model lies among its run's artifacts. MLflow 3 keeps it beside the runs, in
    `models/<model id>/artifacts/` of the experiment, and names it in the run's `outputs/<model id>/`.
    """
    found = [path.parent for depth in ("", "*/", "*/*/", "*/*/*/") for path in folder.glob(depth + MLFLOW_MODEL)]
    for output in folder.glob("outputs/m-*"):
        logged = folder.resolve().parent / "models" / output.name / "artifacts"
        if (logged / MLFLOW_MODEL).is_file():
            found.append(logged)
    return sorted(found)


def _logged_by_mlflow(name: str, folder: Path) -> Source:
    """The layout of MLflow's transformers flavor, read without MLflow.

    `model/` holds the weights, `components/tokenizer/` the tokenizer, or one `pipeline/` folder holds both. An
    adapter lies in `peft/` and its base, unless copied to `model/`, is named by `source_model_name`.
    """
    flavor = _transformers_flavor(folder / MLFLOW_MODEL)
    model = _inside(folder, str(flavor.get("model_binary") or flavor.get("pipeline") or "model"))
    tokenizer = _inside(folder, "components/tokenizer")
    adapter = _inside(folder, "peft")
    if (adapter / ADAPTER_CONFIG).is_file():
        base = str(model) if (model / CONFIG).is_file() else flavor.get("source_model_name")
        return Source(name, adapter, tokenizer if tokenizer.is_dir() else adapter, base)
    if not (model / CONFIG).is_file():
        raise ExportError(
            f"{folder} was logged without its weights (no {model.name}/{CONFIG}): log it with save_pretrained=True"
        )
    return Source(name, model, tokenizer if tokenizer.is_dir() else model)


def _transformers_flavor(path: Path) -> dict[str, Any]:
    try:
        described = yaml.safe_load(path.read_text(encoding="utf-8"))
        flavors = described["flavors"]
        flavor = flavors.get("transformers")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        raise ExportError(f"{path} cannot be read as the description of an MLflow model") from None
    if not isinstance(flavor, dict):
        raise ExportError(
            f"{path} has no transformers flavor (only {', '.join(map(str, flavors))}): log the classifier with "
            "mlflow.transformers.log_model"
        )
    return flavor


def _inside(folder: Path, name: str) -> Path:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ExportError(f"{folder / MLFLOW_MODEL} names a folder outside its own, {name}")
    return path
