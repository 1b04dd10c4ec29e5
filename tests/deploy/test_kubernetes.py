"""deploy/kubernetes as kustomize renders it: valid in many versions of Kubernetes, hardened, and true to the daemon."""

from __future__ import annotations

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.process import configuration as daemon_configuration
from tests.acceptance.process import running
from tests.deploy.hardening import violations
from tests.deploy.kubernetes import (
    KUSTOMIZATIONS,
    ROOT,
    VERSIONS,
    complaints,
    configuration,
    kustomize,
    only,
    plain_rules,
    with_components,
    workloads,
)
from watcher import __version__
from watcher.settings.loader import load_text
from watcher.simulator import Scenario, Simulator

OVERLAYS = ("sqlite", "postgres")
COMPONENTS = tuple(sorted((KUSTOMIZATIONS / "components").iterdir()))
SECRETS = "/etc/watcher/secrets"
Rendering = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendering:
    """Each overlay as it is, and with all components."""
    everything: Rendering = {}
    for name in OVERLAYS:
        overlay = KUSTOMIZATIONS / "overlays" / name
        folder = with_components(overlay, COMPONENTS, tmp_path_factory.mktemp(name))
        everything |= {name: kustomize(overlay), f"{name} and all components": kustomize(folder)}
    return everything


@pytest.fixture
def sqlite(rendered: Rendering) -> list[dict[str, Any]]:
    """The overlay sqlite, to do with as one likes."""
    return copy.deepcopy(rendered["sqlite"])


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_is_valid(rendered: Rendering, version: str) -> None:
    distinct = {json.dumps(one): one for objects in rendered.values() for one in objects}
    assert [wrong for one in distinct.values() for wrong in complaints(one, version)] == []


def test_what_is_not_valid_is_found(sqlite: list[dict[str, Any]]) -> None:
    workload = only(sqlite, "StatefulSet")
    workload["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    assert "livenessprobe" in str(complaints(workload, VERSIONS[0]))


def test_everything_is_hardened(rendered: Rendering) -> None:
    assert {name: wrong for name, objects in rendered.items() if (wrong := violations(objects))} == {}


POD = ("spec", "template", "spec")
CONTAINER = (*POD, "containers", 0)


@pytest.mark.parametrize(
    ("kind", "path", "value", "complaint"),
    [
        ("StatefulSet", (*POD, "securityContext", "runAsNonRoot"), False, "runAsNonRoot"),
        ("StatefulSet", (*POD, "securityContext", "runAsUser"), 0, "runAsUser"),
        ("StatefulSet", (*POD, "securityContext", "seccompProfile"), None, "seccompProfile"),
        ("StatefulSet", (*POD, "automountServiceAccountToken"), True, "automountServiceAccountToken"),
        ("StatefulSet", (*POD, "serviceAccountName"), "default", "serviceAccountName"),
        ("StatefulSet", (*POD, "enableServiceLinks"), None, "enableServiceLinks"),
        ("StatefulSet", (*POD, "hostNetwork"), True, "hostNetwork"),
        ("StatefulSet", (*POD, "terminationGracePeriodSeconds"), 10, "drained"),
        ("StatefulSet", (*POD, "volumes", 0), {"name": "config", "hostPath": {"path": "/"}}, "is none of"),
        ("StatefulSet", (*POD, "volumes", 1, "secret", "defaultMode"), 0o444, "others can read"),
        ("StatefulSet", (*CONTAINER, "securityContext", "readOnlyRootFilesystem"), False, "readOnlyRootFilesystem"),
        ("StatefulSet", (*CONTAINER, "securityContext", "allowPrivilegeEscalation"), True, "allowPrivilegeEscalation"),
        (
            "StatefulSet",
            (*CONTAINER, "securityContext", "capabilities"),
            {"drop": ["ALL"], "add": ["X"]},
            "capabilities",
        ),
        ("StatefulSet", (*CONTAINER, "securityContext", "privileged"), True, "privileged"),
        ("StatefulSet", (*CONTAINER, "resources", "limits"), {"cpu": "1"}, "limits.cpu"),
        ("StatefulSet", (*CONTAINER, "resources", "requests"), {}, "requests"),
        ("StatefulSet", (*CONTAINER, "image"), "watcher", "without a version"),
        ("StatefulSet", (*CONTAINER, "env"), [{"name": "TOKEN", "value": "x"}], "secrets are files"),
        ("StatefulSet", (*CONTAINER, "volumeMounts", 0, "subPath"), "watcher.yaml", "subPath"),
        ("StatefulSet", (*CONTAINER, "volumeMounts", 1, "readOnly"), False, "can be written to"),
        ("StatefulSet", (*CONTAINER, "livenessProbe", "failureThreshold"), 1, "livenessProbe"),
        ("StatefulSet", (*CONTAINER, "readinessProbe", "httpGet", "path"), "/", "readinessProbe"),
        ("StatefulSet", ("spec", "replicas"), 2, "replicas"),
        ("StatefulSet", ("spec", "volumeClaimTemplates"), [], "no volume"),
        ("StatefulSet", ("spec", "selector", "matchLabels"), {"app": "else"}, "selects other pods"),
        ("Service", ("spec", "selector"), {}, "selects other pods"),
        ("ServiceAccount", ("automountServiceAccountToken",), None, "automountServiceAccountToken"),
        ("Namespace", ("metadata", "labels", "pod-security.kubernetes.io/enforce"), "baseline", "restricted"),
        ("PodDisruptionBudget", ("spec", "maxUnavailable"), 0, "blocks drains"),
        ("PodDisruptionBudget", ("spec", "minAvailable"), 1, "blocks drains"),
        ("NetworkPolicy", ("spec", "policyTypes"), ["Ingress"], "one direction"),
        ("NetworkPolicy", ("spec", "ingress", 0), {}, "lets in more"),
        ("NetworkPolicy", ("spec", "egress", 1, "to", 0, "ipBlock", "except"), [], "metadata service"),
        ("NetworkPolicy", ("spec", "egress", 2), {}, "any port"),
        ("ConfigMap", ("metadata", "labels"), {}, "no label"),
    ],
)
def test_what_is_not_hardened_is_found(
    sqlite: list[dict[str, Any]], kind: str, path: tuple[str | int, ...], value: object, complaint: str
) -> None:
    part: Any = only(sqlite, kind)
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert complaint in " ".join(violations(sqlite))


@pytest.mark.parametrize(
    ("kind", "path", "value", "complaint"),
    [
        ("Deployment", ("spec", "replicas"), 1, "nobody takes over"),
        ("Deployment", ("spec", "strategy"), {"type": "Recreate"}, "strategy.type"),
        ("Deployment", ("spec", "strategy", "rollingUpdate", "maxUnavailable"), 1, "maxUnavailable"),
        ("Deployment", ("spec", "minReadySeconds"), 0, "has its share"),
        ("Deployment", (*POD, "terminationGracePeriodSeconds"), 30, "terminationGracePeriodSeconds"),
        ("Deployment", (*POD, "topologySpreadConstraints"), [], "one node or zone"),
        (
            "Deployment",
            (*POD, "volumes", 0),
            {"name": "data", "persistentVolumeClaim": {"claimName": "a"}},
            "share a volume",
        ),
        ("PodDisruptionBudget", ("kind",), "Pod", "a drain may end all"),
        ("NetworkPolicy", ("spec", "egress", -1, "ports"), [{"port": 443}], "out of reach"),
    ],
)
def test_replicas_that_do_not_replace_each_other_are_found(
    rendered: Rendering, kind: str, path: tuple[str | int, ...], value: object, complaint: str
) -> None:
    objects = copy.deepcopy(rendered["postgres"])
    part: Any = only(objects, kind)
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    if kind == "PodDisruptionBudget":
        objects.remove(part)
    assert complaint in " ".join(violations(objects))


def test_the_metadata_service_is_out_of_reach_unless_asked_for(rendered: Rendering) -> None:
    reached = {name: "169.254.169.254/32" in str(only(objects, "NetworkPolicy")) for name, objects in rendered.items()}
    assert reached == {name: "components" in name for name in rendered}


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_configuration_and_the_documented_secret_are_enough(rendered: Rendering, tmp_path: Path, name: str) -> None:
    readme = (KUSTOMIZATIONS / "README.md").read_text()
    commands = re.findall(r"kubectl create secret generic watcher (?:.*\\\n)*.*", readme)
    assert len(commands) == len(OVERLAYS)
    keys = set(re.findall(r"--from-(?:file|literal)=([\w.-]+)", commands[OVERLAYS.index(name)]))
    text = configuration(rendered[name])
    assert set(re.findall(rf"(?m)^[^#\n]*{SECRETS}/([\w.-]+)", text)) == keys
    for key in keys:
        (tmp_path / key).write_text(
            "postgresql://user:password@host:5432/database\n" if key == "store-url" else "secret"
        )
    loaded = load_text(text.replace(SECRETS, str(tmp_path)), {}, file="watcher.yaml")
    assert [str(finding) for finding in loaded.findings] == []
    assert loaded.settings is not None
    assert str(loaded.settings.web.listen) == ":9468"


def test_the_documented_kustomization_is_one(rendered: Rendering, tmp_path: Path) -> None:
    readme = (KUSTOMIZATIONS / "README.md").read_text()
    (text,) = re.findall(r"(?s)```yaml\n(# kustomization.yaml\n.*?)```", readme)
    here = os.path.relpath(KUSTOMIZATIONS, tmp_path.resolve())
    (tmp_path / "kustomization.yaml").write_text(text.replace("../watcher/deploy/kubernetes", here))
    (tmp_path / "watcher.yaml").write_text("mine: true\n")
    objects = kustomize(tmp_path)
    assert configuration(objects) == "mine: true\n"
    assert {one["kind"] for one in objects} >= {one["kind"] for one in rendered["sqlite"]} | {"ServiceMonitor"}
    assert violations(objects) == []
    image = only(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]["image"]
    assert image == f"registry.example.com/watcher:{__version__}"


def test_postgres_is_three_replicas_behind_one_service_that_are_scraped_one_by_one(rendered: Rendering) -> None:
    objects = rendered["postgres and all components"]
    deployment = only(objects, "Deployment")
    assert deployment["spec"]["replicas"] == 3
    service = only(objects, "Service")["spec"]
    pod = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["selector"].items() <= pod.items()
    # The operator makes a target of each pod behind the Service; a clusterIP is never asked for by it.
    assert only(objects, "ServiceMonitor")["spec"]["endpoints"][0]["port"] == service["ports"][0]["name"]
    assert "PersistentVolumeClaim" not in {one["kind"] for one in objects}


def test_the_image_and_the_manifests_agree(rendered: Rendering) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()

    def last(instruction: str) -> str:
        return str(re.findall(rf"(?m)^{instruction} (.*)$", dockerfile)[-1]).strip()

    for objects in rendered.values():
        (workload,) = workloads(objects)
        pod = workload["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["args"] == json.loads(last("CMD"))
        assert "command" not in container
        assert container["ports"] == [{"name": "http", "containerPort": int(last("EXPOSE"))}]
        assert [mount["mountPath"] for mount in container["volumeMounts"]][-1] == last("WORKDIR")
        context = pod["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == last("USER")
        assert container["image"] == f"watcher:{__version__}"
        assert workload["metadata"]["labels"]["app.kubernetes.io/version"] == __version__


async def test_the_daemon_has_what_is_asked_for(rendered: Rendering, tmp_path: Path) -> None:
    objects = rendered["sqlite and all components"]
    (container,) = only(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"]
    probes = [container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")]
    (endpoint,) = only(objects, "ServiceMonitor")["spec"]["endpoints"]
    token = tmp_path / endpoint["authorization"]["credentials"]["key"]
    token.write_text("let-me-in\n")
    async with Simulator(Scenario(), speed=0) as cloud:
        cloud.world.put(name="office-1", status="BUILT")
        web = {"listen": "127.0.0.1:0", "auth": {"bearer_token_file": str(token)}}
        config = daemon_configuration(cloud, tmp_path, receivers=[], discover=[{}], web=web)
        async with running(config) as watcher:
            authorization = f"{endpoint['authorization']['type']} let-me-in"
            await watcher.logged("started")
            metrics, _ = await watcher.get(endpoint["path"], Authorization=authorization)
            unauthorized, _ = await watcher.get(endpoint["path"])
            answers = [await watcher.get(path) for path in probes]
    assert (metrics, unauthorized) == (200, 401)
    assert {status for status, _ in answers} <= {200, 503}, answers
    assert [status for status, _ in answers[:2]] == [200, 200]


def test_prometheus_gets_the_token_from_the_secret_that_is_mounted(rendered: Rendering) -> None:
    for name in OVERLAYS:
        objects = rendered[f"{name} and all components"]
        monitor = only(objects, "ServiceMonitor")["spec"]
        credentials = monitor["endpoints"][0]["authorization"]["credentials"]
        (workload,) = workloads(objects)
        volumes = {volume["name"]: volume for volume in workload["spec"]["template"]["spec"]["volumes"]}
        assert credentials["name"] == volumes["secrets"]["secret"]["secretName"]
        assert f"bearer_token_file: {SECRETS}/{credentials['key']}" in configuration(objects)
        service = only(objects, "Service")
        assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["endpoints"][0]["port"] in [port["name"] for port in service["spec"]["ports"]]


def test_rules_find_the_job_that_the_monitor_makes(rendered: Rendering) -> None:
    objects = rendered["sqlite and all components"]
    label = only(objects, "ServiceMonitor")["spec"]["jobLabel"]
    job = only(objects, "Service")["metadata"]["labels"][label]
    rules = json.dumps(only(objects, "PrometheusRule"))
    assert set(re.findall(r'job=\\"([^"\\]+)', rules)) == {job}


def test_the_rules_are_those_of_the_plain_files(rendered: Rendering) -> None:
    assert only(rendered["sqlite and all components"], "PrometheusRule")["spec"]["groups"] == plain_rules()


def test_the_generated_rules_are_up_to_date(tmp_path: Path) -> None:
    folder = ROOT / "deploy/prometheus"
    for name in ("alerts.yaml", "recording.yaml", "prometheusrule.py"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    subprocess.run((sys.executable, tmp_path / "prometheusrule.py"), check=True)
    wanted = (tmp_path / "prometheusrule.yaml").read_text()
    assert (folder / "prometheusrule.yaml").read_text() == wanted, "run deploy/prometheus/prometheusrule.py"


def test_the_dashboards_are_the_files(rendered: Rendering) -> None:
    maps = [one for one in rendered["sqlite and all components"] if "dashboard" in one["metadata"]["name"]]
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in maps)
    # `kubectl apply` keeps the whole object in an annotation, which holds 256 KiB.
    assert all(len(json.dumps(one)) < 256 * 1024 for one in maps)
    found = {name: text for one in maps for name, text in one["data"].items()}
    assert found == {path.name: path.read_text() for path in (ROOT / "deploy/grafana").glob("*.json")}
