# The gateway: no torch, no transformers, no ONNX Runtime, no shell tools of its own, not root.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS packages
# Where pip finds packages, for machines that have an index of their own; empty ones are ignored.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
ARG PIP_FIND_LINKS
# hadolint ignore=DL3008
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends binutils \
    && rm -rf /var/lib/apt/lists/*
# s3 for a model repository in S3.
ARG EXTRAS
WORKDIR /build
COPY pyproject.toml deploy/docker/requirements.py ./
COPY locks/app.txt locks/app.txt
# Without pip: nothing is installed once the image is built.
RUN python3 -m venv --without-pip /opt/venv \
    && python3 requirements.py pyproject.toml gateway tracing ${EXTRAS:+"$EXTRAS"} > requirements.txt \
    && python3 -m pip --python /opt/venv/bin/python3 install --no-cache-dir --no-compile -c locks/app.txt \
       -r requirements.txt
COPY deploy/docker/slim.sh ./
RUN sh slim.sh /opt/venv

# The base image without what a container that only serves has no use for.
FROM ${PYTHON_IMAGE} AS root
RUN groupadd --gid 10001 app \
    && useradd --uid 10001 --gid app --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin app \
    && install --directory --owner app --group app /models /feedback /jobs \
    && rm -rf /usr/share/doc /usr/share/info /usr/share/locale /usr/share/man /usr/share/python-wheels \
       /usr/lib/python3/dist-packages /usr/local/lib/python3*/site-packages/* /usr/lib/python3*/ensurepip \
       /usr/local/lib/python3*/ensurepip /var/cache/* /var/lib/apt/lists/* /var/log/* /root/.cache
COPY --from=packages /opt/venv /opt/venv
WORKDIR /app
COPY repository repository
COPY gateway gateway
# Compiled here, because the container's file system is read-only; and a look at whether all that it needs is there.
RUN python3 -m compileall -q . && /opt/venv/bin/python3 -c "import gateway.app, gateway.__main__"

# One layer: what was deleted above takes no room.
FROM scratch
# hadolint ignore=DL3067
COPY --from=root / /
WORKDIR /app
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MODEL_REPOSITORY=/models \
    GATEWAY_HOST=0.0.0.0
USER 10001:10001
EXPOSE 8000
CMD ["python3", "-m", "gateway"]
