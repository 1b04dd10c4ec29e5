"""Helm as a library, in a process of its own: does what it reads, a line of JSON each, and writes what came of it.

The library has no `helm template`, nor a dry run: its install asks the API server for its version, for the kinds it
knows and for what is there already. So the install is a real one, into a cluster on loopback that knows the kinds of
the chart, has nothing and takes everything; what is looked at is the release it makes.

A process of its own, because Go reads its environment once, and this one has neither a home nor a kubeconfig of the
machine.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

_RESOURCES = {
    "v1": ("ConfigMap", "Namespace", "PersistentVolumeClaim", "Pod", "Secret", "Service", "ServiceAccount"),
    "apps/v1": ("Deployment", "StatefulSet"),
    "monitoring.coreos.com/v1": ("PrometheusRule", "ServiceMonitor"),
    "networking.k8s.io/v1": ("Ingress", "NetworkPolicy"),
    "policy/v1": ("PodDisruptionBudget",),
}


class _Cluster(BaseHTTPRequestHandler):
    """An API server: discovery, nothing there, and whatever is to be created is."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one packet: else each answer waits 40 ms for an acknowledgement

    def do_GET(self) -> None:
        """Answer discovery; nothing else is there."""
        path = self.path.partition("?")[0].strip("/")
        group_version = path.removeprefix("apis/").removeprefix("api/")
        if path == "version":
            self._answer({"major": "1", "minor": "32", "gitVersion": "v1.32.0"})
        elif path == "api":
            self._answer({"kind": "APIVersions", "versions": ["v1"]})
        elif path == "apis":
            self._answer({"kind": "APIGroupList", "groups": [_group(name) for name in _RESOURCES if "/" in name]})
        elif path != group_version and group_version in _RESOURCES:
            resources = [_resource(kind) for kind in _RESOURCES[group_version]]
            self._answer({"kind": "APIResourceList", "groupVersion": group_version, "resources": resources})
        else:
            status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}
            self._answer(status, HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """Create it."""
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))), HTTPStatus.CREATED)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        """Nobody reads it."""

    def _answer(self, body: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def _group(group_version: str) -> dict[str, Any]:
    name, _, version = group_version.partition("/")
    told = {"groupVersion": group_version, "version": version}
    return {"name": name, "versions": [told], "preferredVersion": told}


def _resource(kind: str) -> dict[str, Any]:
    plural = kind.lower().removesuffix("y") + "ies" if kind.endswith("y") else kind.lower() + "s"
    plural = "ingresses" if kind == "Ingress" else plural
    verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
    return {"name": plural, "kind": kind, "namespaced": kind != "Namespace", "verbs": verbs}


@contextmanager
def _cluster() -> Iterator[str]:
    """The kubeconfig of a cluster on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Cluster)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield yaml.safe_dump(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "it", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                "users": [{"name": "it", "user": {}}],
                "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
                "current-context": "it",
            }
        )
    finally:
        server.shutdown()


async def _install(
    library: Any, chart: str, values: dict[str, Any], *, release: str, kubeconfig: str
) -> dict[str, Any]:
    # Each in a configuration, and so a memory, of its own: the same release again is no upgrade.
    with library.Configuration(namespace="monitoring", kubeconfig=kubeconfig) as configuration:
        try:
            made = await library.Install(configuration).run(release, chart, values, wait=False)
        except library.HelmError as error:
            return {"manifest": "", "hooks": [], "notes": "", "error": str(error)}
    hooks = [hook["manifest"] for hook in made.get("hooks", ())]
    return {"manifest": made["manifest"], "hooks": hooks, "notes": made["info"].get("notes", ""), "error": None}


async def _do(library: Any, task: dict[str, Any], *, kubeconfig: str) -> Any:
    chart = task["chart"]
    if task["do"] == "render":
        return [
            await _install(library, chart, values, release=task["release"], kubeconfig=kubeconfig)
            for values in task["values"]
        ]
    with library.Configuration(namespace="monitoring", kubeconfig=kubeconfig) as configuration:
        if task["do"] == "package":
            return await library.Package(configuration).run(chart, task["folder"])
        return await library.Lint(configuration).run(chart)


def _main() -> None:
    """Do what is asked, a line of JSON each, until there is no more."""
    library = importlib.import_module("helm_sdkpy")
    with _cluster() as kubeconfig:
        for line in sys.stdin:
            sys.stdout.write(json.dumps(asyncio.run(_do(library, json.loads(line), kubeconfig=kubeconfig))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _main()
