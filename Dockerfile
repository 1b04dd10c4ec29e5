# Two stages: the first builds with pip and hatchling, the second has watcher and what it runs on.
ARG PYTHON_VERSION=3.13

FROM python:${PYTHON_VERSION}-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/runtime.txt requirements/build.txt requirements/
RUN python -m venv --without-pip /opt/watcher \
    && python -m pip --python /opt/watcher/bin/python install --require-hashes --requirement requirements/runtime.txt \
    && python -m pip install --require-hashes --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY watcher watcher
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && python -m pip --python /opt/watcher/bin/python install --no-deps --no-index /wheels/*.whl \
    && /opt/watcher/bin/python -m compileall -q /opt/watcher

FROM python:${PYTHON_VERSION}-slim
LABEL org.opencontainers.image.title="watcher" \
      org.opencontainers.image.description="Watches image instances on Huawei Cloud Workspace and tells the moment one changes" \
      org.opencontainers.image.licenses="Apache-2.0"
# The base image's own pip goes, too. The user is a number, so that Kubernetes' runAsNonRoot can see it is not root.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip \
    && useradd --uid 65532 --user-group --no-create-home --home-dir /var/lib/watcher --shell /usr/sbin/nologin watcher \
    && install --directory --owner=65532 --group=65532 /var/lib/watcher /etc/watcher
COPY --from=build /opt/watcher /opt/watcher
ENV PATH=/opt/watcher/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
# Relative paths of the configuration (`sqlite:///watcher.db`) are here: the only folder that is written to.
WORKDIR /var/lib/watcher
VOLUME /var/lib/watcher
EXPOSE 9468
# For Docker and Compose; Kubernetes asks /-/healthy itself. Set WATCHER_URL where `web.listen` has another port.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(os.environ.get('WATCHER_URL', 'http://127.0.0.1:9468') + '/-/healthy', timeout=4)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["watcher"]
CMD ["run", "-c", "/etc/watcher/watcher.yaml"]
