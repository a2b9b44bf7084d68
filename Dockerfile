# One image for every part of Medloop that is Python: MLflow, Airflow's parts, the service.
FROM python:3.11.14-slim-bookworm

# Security updates of the distribution are wanted at each build; its release is pinned above.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends openjdk-17-jre-headless curl \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 1000 medloop

COPY --from=ghcr.io/astral-sh/uv:0.9.7 /uv /usr/local/bin/uv

WORKDIR /opt/medloop
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-dev --extra s3 --no-install-project --no-cache --compile-bytecode
COPY . .
RUN uv sync --locked --no-dev --extra s3 --no-cache --compile-bytecode \
 && mkdir -p /var/lib/medloop \
 && chown 1000:1000 /var/lib/medloop

ENV PATH=/opt/medloop/.venv/bin:$PATH \
    MEDLOOP_HOME=/var/lib/medloop \
    PYTHONUNBUFFERED=1
USER 1000:1000
VOLUME /var/lib/medloop
CMD ["medloop", "--help"]
