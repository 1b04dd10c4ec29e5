# Two stages: the first builds with pip and hatchling, the second has watcher and what it runs on.
# A mirror's copy, another version, or one exact image: --build-arg PYTHON_IMAGE=…@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY requirements/image.txt requirements/build.txt requirements/
# Where packages come from an index of your own: --secret id=pip.conf,src=$HOME/.config/pip/pip.conf (nothing of it stays).
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/watcher \
    && python -m pip --python /opt/watcher/bin/python install --require-hashes --requirement requirements/image.txt \
    && python -m pip install --require-hashes --requirement requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY watcher watcher
# Bytecode that is checked by no file's time: the same from every build.
RUN python -m pip wheel --no-deps --no-index --no-build-isolation --wheel-dir /wheels . \
    && python -m pip --python /opt/watcher/bin/python install --no-deps --no-index /wheels/*.whl \
    && /opt/watcher/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/watcher

FROM ${PYTHON_IMAGE}
# The version and the revision are the builder's to say: --label org.opencontainers.image.version=…
LABEL org.opencontainers.image.title="watcher" \
      org.opencontainers.image.description="Watches image instances on Huawei Cloud Workspace and tells the moment one changes" \
      org.opencontainers.image.licenses="Apache-2.0"
# The base image's own pip goes, too. The user is a number below, so that Kubernetes' runAsNonRoot can see it is not root.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/* /usr/local/lib/python3*/ensurepip \
    && echo 'watcher:x:65532:65532::/var/lib/watcher:/usr/sbin/nologin' >>/etc/passwd \
    && echo 'watcher:x:65532:' >>/etc/group \
    && install --directory --owner=65532 --group=65532 /var/lib/watcher \
    && install --directory /etc/watcher
COPY --from=build /opt/watcher /opt/watcher
# All that is written, SQLite's sorting included, is in one folder: the root may be read-only and have no /tmp.
ENV PATH=/opt/watcher/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/var/lib/watcher TMPDIR=/var/lib/watcher
USER 65532:65532
# Relative paths of the configuration (`sqlite:///watcher.db`) are here.
WORKDIR /var/lib/watcher
VOLUME /var/lib/watcher
EXPOSE 9468
# For Docker and Compose; Kubernetes asks /-/healthy itself. Set WATCHER_URL where `web` has another port or TLS: it is
# this container that answers, so neither a proxy nor a certificate's name matters.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 \
    CMD ["python", "-ISc", "import os, ssl, urllib.request as r; r.build_opener(r.ProxyHandler({}), r.HTTPSHandler(context=ssl._create_unverified_context())).open(os.environ.get('WATCHER_URL', 'http://127.0.0.1:9468') + '/-/healthy', timeout=4)"]
# It drains for up to 20 s: let it have 30 (`docker stop --time 30`, Compose's stop_grace_period).
ENTRYPOINT ["watcher"]
CMD ["run", "-c", "/etc/watcher/watcher.yaml"]
