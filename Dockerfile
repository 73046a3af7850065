# The image of cometapi-exporter: an init, no build tools, no installer, a numeric user without privileges, nothing written at run time.
#
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t cometapi-exporter:0.1.0 .
#   docker run --rm --read-only --cap-drop=ALL --security-opt=no-new-privileges -p 127.0.0.1:10144:10144 cometapi-exporter:0.1.0 --demo

# The digest is that of the index of all architectures.
ARG PYTHON_IMAGE=python:3.13.16-slim-trixie@sha256:70729b46c69b4f1e97c4822c1af3df53a1476cf5ddc6c087c0c10bc3a5678c2f

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements.lock requirements-dev.lock ./
# The environment that the image ships: without pip, every file checked against its hash.
RUN python -m venv --without-pip /venv \
    && python -m pip --python /venv/bin/python install --require-hashes --only-binary=:all: --requirement requirements.lock
# The build backend stays in this stage; its versions and hashes come from the development lock.
RUN awk '/^[a-z]/ { keep = /^(hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers)==/ } keep' requirements-dev.lock > build.lock \
    && python -m pip install --require-hashes --only-binary=:all: --requirement build.lock
COPY pyproject.toml README.md LICENSE ./
COPY man man
COPY exporter exporter
RUN python -m pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /dist . \
    && python -m pip --python /venv/bin/python install --no-deps --no-index /dist/*.whl

FROM ${PYTHON_IMAGE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="cometapi-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the API keys of CometAPI accounts and of any gateway compatible with New API" \
      org.opencontainers.image.source="https://github.com/cometapi-exporter/cometapi-exporter" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m pip uninstall --yes --root-user-action=ignore pip \
    && rm -rf /usr/local/lib/python3.*/ensurepip
# The first process of a container ignores signals that it does not handle: an init passes them on, and takes in orphans.
# Without the system's certificates no gateway could be verified; the base image has them today.
# Not pinned: Debian keeps only the latest build of a package.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates tini \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log
COPY --from=build /venv /venv
# For another port or TLS (--web.config.file), set HEALTHCHECK_URL, for example to https://127.0.0.1:10144/-/healthy.
# Where the web config requires client certificates, the check has none: run with --no-healthcheck.
# Images in OCI format have no health check: with Podman or Buildah build with `--format docker`.
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HEALTHCHECK_URL=http://127.0.0.1:10144/-/healthy
USER 65532:65532
EXPOSE 10144
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import os, ssl, urllib.request as u; u.build_opener(u.ProxyHandler({}), u.HTTPSHandler(context=ssl._create_unverified_context())).open(os.environ['HEALTHCHECK_URL'], timeout=4)"]
ENTRYPOINT ["tini", "--", "cometapi-exporter"]
