# One image for every part of Medloop: HDFS, Spark, MLflow, Airflow, the service and the watch.
#
#   docker build --build-arg GIT_COMMIT=$(git rev-parse HEAD) --tag medloop:0.1.0 .
FROM python:3.11.14-slim-bookworm

# Security updates of the distribution are wanted at each build; its release is pinned above.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends openjdk-17-jre-headless curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 medloop \
 && install --directory --owner medloop /var/lib/medloop

COPY --from=ghcr.io/astral-sh/uv:0.9.7 /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never

WORKDIR /opt/medloop
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev --extra s3 --no-install-project

COPY . .
RUN --mount=type=cache,target=/root/.cache/uv \
    uv sync --locked --no-dev --extra s3 \
 && .venv/bin/python -m compileall -q dags expectations pipelines serving stack

ENV PATH=/opt/medloop/.venv/bin:$PATH \
    MEDLOOP_HOME=/var/lib/medloop \
    MEDLOOP_JARS=/opt/medloop/jars \
    PYTHONUNBUFFERED=1
# Hadoop's servers, pinned by their hashes; Spark keeps the classes it has loaded beside them.
RUN --mount=type=cache,target=/root/.cache/jars \
    MEDLOOP_JARS=/root/.cache/jars python -c "from pipelines.settings import get_settings; \
from stack import jars; jars.fetch(get_settings(), jars.YARN, print)" \
 && install --owner medloop -D --target-directory jars /root/.cache/jars/*.jar \
 && chown medloop jars

# What `git_commit` in manifests and bundles says: an image has no repository to ask.
ARG GIT_COMMIT=
RUN echo "$GIT_COMMIT" > GIT_COMMIT

USER 1000:1000
VOLUME /var/lib/medloop
CMD ["medloop", "--help"]
