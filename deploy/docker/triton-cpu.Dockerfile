# Triton without NVIDIA's image: the binary that PyPI carries, with this project's ONNX Runtime backend, on CPUs.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
# Where pip finds packages, for machines that have an index of their own; empty ones are ignored.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
WORKDIR /build
COPY pyproject.toml deploy/docker/requirements.py ./
COPY locks locks
RUN python3 -m venv --without-pip /opt/venv \
    && python3 requirements.py pyproject.toml > requirements.txt \
    && python3 -m pip --python /opt/venv/bin/python3 install --no-cache-dir -c locks/app.txt -r requirements.txt
COPY repository repository
COPY server server
# Made from the base image's interpreter, whose libpython Triton's Python backend loads.
RUN TRITON_ENV=/opt/triton TRITON_PYTHON=python3 TRITON_GPU=off PIP_NO_CACHE_DIR=1 /opt/venv/bin/python3 -m server install

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install --directory --owner app --group app /models
COPY --from=packages /opt/venv /opt/venv
COPY --from=packages /opt/triton /opt/triton
WORKDIR /app
COPY locks/triton.txt locks/triton.txt
COPY repository repository
COPY server server
ENV PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MODEL_REPOSITORY=/models \
    TRITON_KIND=embedded \
    TRITON_ENV=/opt/triton \
    TRITON_PYTHON=python3 \
    TRITON_GPU=off \
    TRITON_HOST=0.0.0.0
USER 10001:10001
EXPOSE 8100 8101 8102
CMD ["/opt/venv/bin/python3", "-m", "server"]
