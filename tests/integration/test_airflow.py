"""The DAG in deploy/airflow runs the pipeline for real, by Airflow's own `dag.test()`: `make airflow-test`.

Minutes on two cores: AIRFLOW_TEST=1 switches it on.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repository.manifest import Manifest
from repository.store import ModelStore
from tests.any_table import LABELS, texts, write_table
from tests.own_environments import EnvironmentMissingError, own_python
from tests.places import ROOT
from tests.tiny_pipeline import CLASSES, write_tiny_base
from tests.version_folders import write_version

DAGS = ROOT / "deploy" / "airflow" / "dags"
# By Airflow's interpreter. It prints the run's state and those of its tasks as the last line.
RUN = """
import json, sys, warnings
from airflow.dag_processing.dagbag import DagBag
warnings.simplefilter("always")
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
assert not any(bag.captured_warnings.values()), bag.captured_warnings
dag = bag.dags["text_classifier"]
run = dag.test(run_conf=json.loads(sys.argv[2]))
states = {task.task_id: str(task.state) for task in run.get_task_instances()}
print(json.dumps({"state": str(run.state), "tasks": states}))
"""

pytestmark = pytest.mark.skipif("AIRFLOW_TEST" not in os.environ, reason="AIRFLOW_TEST=1 (make airflow-test) runs it")


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Its interpreter, and the environment of a fresh database."""
    try:
        python = own_python("airflow", "apache-airflow", "apache-airflow-providers-standard")
    except EnvironmentMissingError as error:
        pytest.skip(str(error))
    home = tmp_path_factory.mktemp("airflow")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "CLASSIFIER_HOME": str(ROOT),
        "CLASSIFIER_PYTHON": sys.executable,
        "CHECKPOINT": str(home / "checkpoint"),
        "EXPORTED": str(home / "exported"),
        "MODEL_REPOSITORY": str(home / "models"),
        "PATH": f"{python.parent}:{os.environ['PATH']}",
    }
    migrated = subprocess.run(
        [python, "-m", "airflow", "db", "migrate"], env=environment, capture_output=True, text=True
    )
    assert migrated.returncode == 0, migrated.stderr
    return python, environment


def run_dag(airflow: tuple[Path, dict[str, str]], parameters: dict[str, str]) -> tuple[str, dict[str, str]]:
    python, environment = airflow
    done = subprocess.run(
        [python, "-c", RUN, str(DAGS), json.dumps(parameters)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    return found["state"], found["tasks"]


def test_the_dag_publishes_a_version_and_a_refused_gate_fails_the_run(
    airflow: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    data, base = write_table(tmp_path / "it's $HOME.csv", LABELS["one"][3]), write_tiny_base("bert", tmp_path / "base")
    parameters = {
        "DATA": str(data),
        "TEXT_COLUMN": "headline,body",
        "LABEL_COLUMN": "answer",
        "BASE_MODEL": str(base),
        "TRAIN_OPTIONS": "--max-steps 3 --no-baseline",
        "PRECISION": "fp32",
    }
    state, tasks = run_dag(airflow, parameters)
    assert (state, set(tasks.values())) == ("success", {"success"})
    assert set(tasks) == {"inspect", "train", "evaluate", "gate", "export", "publish"}
    store = ModelStore(Path(airflow[1]["MODEL_REPOSITORY"]), "classifier")
    assert Manifest.read(store.folder / "1").labels == sorted(CLASSES)
    # What is served now knows every verb; three steps of training do not.
    better = store.publish(write_version(tmp_path / "better", {text.split()[0]: label for text, label in texts()}))
    shutil.copy(Path(airflow[1]["CHECKPOINT"]) / "split.json", store.folder / str(better))
    state, tasks = run_dag(airflow, parameters)
    assert state == "failed"
    assert (tasks["train"], tasks["gate"], tasks["export"], tasks["publish"]) == (
        "success",
        "failed",
        "upstream_failed",
        "upstream_failed",
    )
    assert store.numbers() == [1, 2]
