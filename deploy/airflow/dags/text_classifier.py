"""The pipeline of `make pipeline` as a DAG of Apache Airflow 3: each task is one of its steps, by the same command.

CLASSIFIER_HOME is the project's folder and CLASSIFIER_PYTHON an interpreter that has it installed with its extras train
and export. What a run is not told, it takes from Airflow's own environment: DATA, CHECKPOINT, MODEL_REPOSITORY and
whatever else docs/reference/settings.md lists.
"""

import os
from datetime import timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param, chain

HOME = os.environ.get("CLASSIFIER_HOME", "/app")
PYTHON = os.environ.get("CLASSIFIER_PYTHON", "/opt/venv/bin/python3")

# What a run can be told in Airflow's form. Where models are published is not for whoever starts a run to say.
PARAMETERS = {
    "DATA": "File, folder of Hugging Face datasets or hub id to train on.",
    "TEXT_COLUMN": "Column of the text, or several with commas.",
    "LABEL_COLUMN": "Column of the label.",
    "GROUP_COLUMN": "Column of what is never in two splits.",
    "LANGUAGE_COLUMN": "Column of the language.",
    "LABEL_SEPARATOR": "Between the labels of a row that has several.",
    "VALIDATION_DATA": "File to choose the best epoch on.",
    "TEST_DATA": "File to test the model on.",
    "BASE_MODEL": "Encoder to fine-tune.",
    "TRAIN_OPTIONS": "Further options of `python -m training`.",
    "PRECISION": "Of the exported graph: auto, fp32, fp16 or int8.",
    "GATE_MARGIN": "How much worse than the served version it may be beyond the noise.",
    "GATE_UNSURE": "refuse or pass a model that cannot be compared with the served one.",
}

# The longest that a step may take, and how often it is tried again. What would fail again is not: a refusal stays one.
STEPS = {
    "inspect": (timedelta(hours=1), 0),
    "train": (timedelta(hours=12), 1),
    "evaluate": (timedelta(hours=1), 1),
    "gate": (timedelta(hours=1), 0),
    "export": (timedelta(hours=2), 1),
    "publish": (timedelta(minutes=30), 2),
}

with DAG(
    "text_classifier",
    description="From data to a published version: inspect, train, evaluate, gate, export, publish.",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=18),
    params={
        name: Param(os.environ.get(name, ""), type="string", description=meaning)
        for name, meaning in PARAMETERS.items()
    },
    tags=["text-classifier"],
    doc_md=__doc__,
) as dag:
    chain(
        *(
            BashOperator(
                task_id=step,
                # Settings travel in the environment: no character of one means anything to the shell.
                bash_command=f'exec "$CLASSIFIER_PYTHON" -m launcher.pipeline --only {step}',
                env={"CLASSIFIER_PYTHON": PYTHON, **{name: f"{{{{ params.{name} }}}}" for name in PARAMETERS}},
                append_env=True,
                cwd=HOME,
                # Else 99 would count as a step left out.
                skip_on_exit_code=None,
                execution_timeout=longest,
                retries=retries,
                retry_delay=timedelta(minutes=2),
            )
            for step, (longest, retries) in STEPS.items()
        )
    )

if __name__ == "__main__":
    dag.test()
