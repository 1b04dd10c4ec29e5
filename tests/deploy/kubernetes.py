"""Kubernetes objects as kustomize renders them, and what Kubernetes itself would say of their shape."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from kubernetes_validate import utils as schemas  # type: ignore[import-untyped]
from referencing import Registry, Resource

from tests.components import missing, program
from tests.deploy.custom_resources import CUSTOM_RESOURCES

ROOT = Path(__file__).parents[2]
KUSTOMIZATIONS = ROOT / "deploy/kubernetes"
VERSIONS = ("1.27.0", "1.29.0", "1.32.0", "1.35.0", schemas.latest_version())
"""Of Kubernetes: the oldest that is supported, some between, and the newest there is a schema of."""


@cache
def _kustomize() -> tuple[str, ...]:
    """The command that renders a folder."""
    kubectl = program("kubectl", package="kubernetes-client")
    said = subprocess.run((kubectl, "version", "--client", "-o", "json"), capture_output=True, check=True)
    version = str(json.loads(said.stdout).get("kustomizeVersion", "v0"))
    if int(version.lstrip("v").partition(".")[0]) < 5:
        missing(f"kubectl has kustomize {version}: kubectl 1.27 or newer is needed")
    return kubectl, "kustomize"


def kustomize(folder: Path) -> list[dict[str, Any]]:
    """The objects of a kustomization. It is no business of any cluster: there is no kubeconfig."""
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": os.devnull}
    done = subprocess.run(
        (*_kustomize(), str(folder)), env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr  # it warns of what is deprecated
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def with_components(overlay: Path, components: Sequence[Path], folder: Path) -> Path:
    """A kustomization in `folder` that adds components to an overlay, as a user's own would."""
    document = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(overlay, folder.resolve())],
        "components": [os.path.relpath(component, folder.resolve()) for component in components],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(document))
    return folder


def complaints(document: dict[str, Any], version: str) -> list[str]:
    """What is wrong with an object: by the strict schema of this version, or of its custom resource."""
    schema = _schema(document["apiVersion"], document["kind"], version)
    errors = Draft202012Validator(schema, registry=_registry(version)).iter_errors(document)
    return [f"{name_of(document)}: {'.'.join(map(str, error.path))}: {error.message}" for error in errors]


@cache
def _schema(api_version: str, kind: str, version: str) -> Any:
    if (api_version, kind) in CUSTOM_RESOURCES:
        return CUSTOM_RESOURCES[api_version, kind]
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)  # as the files are called
    return _contents(f"{kind.lower()}-{group}", version)


@cache
def _registry(version: str) -> Any:
    """The definitions that the schemas refer to. The library reads their megabyte for every object anew."""
    return Resource.from_contents(_contents("_definitions", version)) @ Registry()


def _contents(name: str, version: str) -> Any:
    return schemas.schema_contents(f"kubernetes-json-schema/v{version}-local-strict/{name}.json", version)


def name_of(document: dict[str, Any]) -> str:
    """Kind and name."""
    return f"{document['kind']} {document['metadata']['name']}"


def only(objects: Sequence[dict[str, Any]], kind: str, name: str | None = None) -> dict[str, Any]:
    """The one object of a kind."""
    found = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    assert len(found) == 1, [name_of(one) for one in objects]
    return found[0]


def workloads(objects: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The objects that keep pods running."""
    return (one for one in objects if one["kind"] in ("Deployment", "StatefulSet"))


def configuration(objects: Sequence[dict[str, Any]]) -> str:
    """The text of the watcher's configuration in its ConfigMap."""
    texts = [one["data"]["watcher.yaml"] for one in objects if "watcher.yaml" in one.get("data", ())]
    assert len(texts) == 1
    return str(texts[0])


def plain_rules() -> list[dict[str, Any]]:
    """The groups of the plain rule files."""
    files = [ROOT / "deploy/prometheus" / name for name in ("alerts.yaml", "recording.yaml")]
    return [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
