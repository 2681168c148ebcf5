# Apache Airflow beside what trains: the pipeline as a DAG. Built on the train image:
#
#     docker compose build train && docker compose --profile airflow build airflow
ARG TRAIN_IMAGE=text-classifier-train
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
WORKDIR /build
COPY locks/airflow.txt locks/airflow.txt
# An environment of its own: Airflow wants other versions than the project.
RUN python3 -m venv --without-pip /opt/airflow \
    && python3 -m pip --python /opt/airflow/bin/python3 install --no-cache-dir -c locks/airflow.txt \
    apache-airflow apache-airflow-providers-standard

FROM ${TRAIN_IMAGE}
COPY --from=packages /opt/airflow /opt/airflow
COPY deploy/airflow/dags /app/deploy/airflow/dags
# A task's `python3` stays the project's: Airflow's own programs come last.
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin:/opt/airflow/bin \
    AIRFLOW_HOME=/work/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/app/deploy/airflow/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__API__HOST=0.0.0.0 \
    AIRFLOW__API__PORT=8080 \
    CLASSIFIER_HOME=/app \
    CLASSIFIER_PYTHON=/opt/venv/bin/python3 \
    EXPORTED=/work/exports/classifier
USER 10001:10001
CMD ["/opt/airflow/bin/airflow", "standalone"]
