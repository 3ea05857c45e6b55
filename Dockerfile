# The lab itself: `docker build -t tlslab .`, then `docker run --rm tlslab scenarios`.
# Wheels that tools/prefetch left in dist/ are used instead of a package index.
FROM debian:bookworm-slim AS base
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/*

FROM base AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/tlslab
WORKDIR /srv/tlslab
# The dependencies first: they change less often than the lab.
COPY pyproject.toml dist* /tmp/dist/
RUN set -eu; \
    if ls /tmp/dist/*.whl >/dev/null 2>&1; then source='--no-index --find-links /tmp/dist'; else source=''; fi; \
    python3 -c 'import tomllib; p = tomllib.load(open("/tmp/dist/pyproject.toml", "rb")); print(*p["build-system"]["requires"], *p["project"]["dependencies"], sep="\n")' >/tmp/wanted; \
    /opt/tlslab/bin/pip install --quiet --no-cache-dir --disable-pip-version-check $source -r /tmp/wanted
COPY . .
RUN rm -rf dist \
 && /opt/tlslab/bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-index --no-deps --no-build-isolation .

FROM base
COPY --from=build /opt/tlslab /opt/tlslab
COPY tools/as-owner /usr/local/bin/as-owner
RUN useradd --uid 1000 --create-home tlslab
ENV PATH=/opt/tlslab/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
LABEL org.tlslab=lab
WORKDIR /home/tlslab
USER tlslab
ENTRYPOINT ["tlslab"]
CMD ["--help"]
