# Trains, exports and publishes: the one image with torch. It runs once and ends.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
# Where pip finds packages. On Linux x86_64 the torch on PyPI carries CUDA; PIP_EXTRA_INDEX_URL names an index of CPU
# builds where 3 GB are too much.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
# cpu or gpu: which ONNX Runtime the export measures with.
ARG ACCELERATOR=cpu
WORKDIR /build
COPY pyproject.toml deploy/docker/requirements.py ./
COPY locks/app.txt locks/app.txt
RUN python3 -m venv --without-pip /opt/venv \
    && python3 requirements.py pyproject.toml train export adapters "$ACCELERATOR" > requirements.txt \
    && python3 -m pip --python /opt/venv/bin/python3 install --no-cache-dir -c locks/app.txt -r requirements.txt

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install --directory --owner app --group app /models /work /work/tmp
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY data data
COPY training training
COPY export export
COPY pretrained pretrained
COPY repository repository
COPY launcher launcher
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/work \
    TMPDIR=/work/tmp \
    CHECKPOINT=/work/checkpoints/classifier \
    MODEL_REPOSITORY=/models
USER 10001:10001
CMD ["python3", "-m", "launcher.publish"]
