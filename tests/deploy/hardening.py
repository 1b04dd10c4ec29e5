"""What every object here must keep to, whether kustomize or Helm made it; broken rules come back in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.deploy.kubernetes import name_of, workloads

USER = 65532
_RECOMMENDED = ("name", "part-of")
_VOLUMES = ("configMap", "secret", "emptyDir", "persistentVolumeClaim")
_POD = {
    "serviceAccountName": "watcher",
    "automountServiceAccountToken": False,
    "enableServiceLinks": False,
    "securityContext.runAsNonRoot": True,
    "securityContext.runAsUser": USER,
    "securityContext.runAsGroup": USER,
    "securityContext.fsGroup": USER,
    "securityContext.seccompProfile.type": "RuntimeDefault",
    "hostNetwork": None,
    "hostPID": None,
    "hostIPC": None,
}
_CONTAINER = {
    "securityContext.allowPrivilegeEscalation": False,
    "securityContext.readOnlyRootFilesystem": True,
    "securityContext.capabilities": {"drop": ["ALL"]},
    "securityContext.privileged": None,
    "securityContext.runAsUser": None,
    "securityContext.seccompProfile": None,
    "resources.limits.cpu": None,
}
_PROBES = {
    "livenessProbe": ("/-/healthy", 10, 5),
    "readinessProbe": ("/-/ready", 10, 5, 3),
    "startupProbe": ("/-/healthy", 5, 5, 60),
}
_MOUNTS = {"config": "/etc/watcher", "secrets": "/etc/watcher/secrets", "data": "/var/lib/watcher"}


def violations(objects: Sequence[dict[str, Any]]) -> list[str]:
    """All that is against the rules in one rendering."""
    return [
        *(f"{name_of(one)}: {wrong}" for one in objects for wrong in _object(one)),
        *(f"{name_of(one)}: {wrong}" for one in objects for wrong in _pod_of(one)),
        *(f"{name_of(one)}: {wrong}" for one in workloads(objects) for wrong in _workload(one)),
        *_together(objects),
    ]


def _object(one: Mapping[str, Any]) -> Iterator[str]:
    labels = one["metadata"].get("labels", {})
    yield from (f"no label {label}" for label in _RECOMMENDED if not labels.get(f"app.kubernetes.io/{label}"))
    match one["kind"]:
        case "ServiceAccount":
            yield from _differs(one, {"automountServiceAccountToken": False})
        case "Namespace":
            if labels.get("pod-security.kubernetes.io/enforce") != "restricted":
                yield "the Pod Security Standard is not restricted"
        case "PodDisruptionBudget":
            if one["spec"].get("maxUnavailable") in (None, 0, "0%") or "minAvailable" in one["spec"]:
                yield "blocks drains for ever"
        case "NetworkPolicy":
            yield from _network(one["spec"])


def _network(spec: Mapping[str, Any]) -> Iterator[str]:
    if sorted(spec["policyTypes"]) != ["Egress", "Ingress"]:
        yield "leaves one direction open"
    if [rule.get("ports") for rule in spec["ingress"]] != [[{"protocol": "TCP", "port": 9468}]]:
        yield "lets in more than the port"
    for rule in spec["egress"]:
        ports = {port["port"] for port in rule.get("ports", ())}
        if not ports:
            yield "lets out to any port"
        if not rule.get("to") and ports != {53}:
            yield f"lets out to anywhere at {ports}"
        for peer in rule.get("to", ()):
            block = peer.get("ipBlock", {})
            if block.get("cidr") == "0.0.0.0/0" and "169.254.0.0/16" not in block.get("except", ()):
                yield "lets out to the metadata service"


def _pod_of(one: Mapping[str, Any]) -> Iterator[str]:
    pod = one["spec"] if one["kind"] == "Pod" else one.get("spec", {}).get("template", {}).get("spec")
    if pod is None:
        return
    yield from _differs(pod, _POD)
    for volume in pod.get("volumes", ()):
        if not set(volume) & set(_VOLUMES):
            yield f"the volume {volume['name']} is none of {_VOLUMES}"
        mode = volume.get("secret", {}).get("defaultMode", 0o440)
        if mode != 0o440:
            yield f"others can read the secrets: {mode:o}"
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        yield from _container(container)


def _container(container: Mapping[str, Any]) -> Iterator[str]:
    yield from _differs(container, _CONTAINER)
    resources = container.get("resources", {})
    if not {"cpu", "memory"} <= set(resources.get("requests", ())) or "memory" not in resources.get("limits", ()):
        yield "needs requests of CPU and memory and a limit of memory"
    if container["image"].endswith(":latest") or not {":", "@"} & set(container["image"]):
        yield f"an image without a version: {container['image']}"
    if container.get("env"):
        yield "sets environment variables: secrets are files"
    for mount in container.get("volumeMounts", ()):
        if "subPath" in mount:
            yield f"{mount['mountPath']} is a subPath, which Kubernetes never brings up to date"
        if mount["name"] != "data" and not mount.get("readOnly"):
            yield f"{mount['mountPath']} can be written to"


def _workload(one: Mapping[str, Any]) -> Iterator[str]:
    pod = one["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    patience = 6 if one["kind"] == "StatefulSet" else 60  # no restart brings a database elsewhere back
    for name, wanted in (_PROBES | {"livenessProbe": (*_PROBES["livenessProbe"], patience)}).items():
        probe = container.get(name, {})
        get = probe.get("httpGet", {})
        found = (
            get.get("path"),
            probe.get("periodSeconds"),
            probe.get("timeoutSeconds"),
            probe.get("failureThreshold"),
        )
        if found != wanted or get.get("port") != "http":
            yield f"{name} is {found} at {get.get('port')}, not {wanted} at http"
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    if {**_MOUNTS, **mounts} != mounts:
        yield f"mounts {mounts}, not {_MOUNTS}"
    if pod.get("terminationGracePeriodSeconds", 0) < 5 + 15 + 5:
        yield "is killed before it has drained"
    if one["kind"] == "StatefulSet":
        yield from _sqlite(one["spec"])
    else:
        yield from _postgres(one["spec"])


def _sqlite(spec: Mapping[str, Any]) -> Iterator[str]:
    yield from _differs(spec, {"replicas": 1, "podManagementPolicy": "Parallel"})
    modes = [mode for claim in spec.get("volumeClaimTemplates", ()) for mode in claim["spec"]["accessModes"]]
    claimed = any("persistentVolumeClaim" in volume for volume in spec["template"]["spec"]["volumes"])
    if modes != ["ReadWriteOnce"] and not claimed:
        yield f"the database is on no volume of its own: {modes}"


def _postgres(spec: Mapping[str, Any]) -> Iterator[str]:
    """Replicas, of which one after the other is replaced, a new one first."""
    yield from _differs(
        spec,
        {
            "strategy.type": "RollingUpdate",
            "strategy.rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            "template.spec.terminationGracePeriodSeconds": 45,
        },
    )
    if spec["replicas"] < 2:
        yield "nobody takes over from a single replica"
    if spec.get("minReadySeconds", 0) < 15:
        yield "the next one is ended before the new one has its share"
    pod = spec["template"]["spec"]
    if any("persistentVolumeClaim" in volume for volume in pod["volumes"]):
        yield "replicas share a volume"
    if not {"topology.kubernetes.io/zone", "kubernetes.io/hostname"} <= {
        spread["topologyKey"] for spread in pod.get("topologySpreadConstraints", ())
    }:
        yield "all replicas may end with one node or zone"


def _together(objects: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Selectors select the pods of the watcher, and no others."""
    accounts = [one["metadata"]["name"] for one in objects if one["kind"] == "ServiceAccount"]
    if accounts != ["watcher"]:
        yield f"service accounts: {accounts}"
    ours = [one["spec"]["template"]["metadata"]["labels"] for one in workloads(objects)]
    others = [one["metadata"]["labels"] for one in objects if one["kind"] == "Pod"]
    if len(ours) != 1:
        yield f"{len(ours)} workloads"
    if any(one["kind"] == "Deployment" for one in objects):
        policies = [one["spec"]["egress"] for one in objects if one["kind"] == "NetworkPolicy"]
        if not all(5432 in [port["port"] for rule in egress for port in rule["ports"]] for egress in policies):
            yield "PostgreSQL is out of reach"
        if not any(one["kind"] == "PodDisruptionBudget" for one in objects):
            yield "a drain may end all replicas at once"
    for one in objects:
        selector = _selector(one)
        if selector is not None and [matches(selector, labels) for labels in (*ours, *others)] != [
            *(True for _ in ours),
            *(False for _ in others),
        ]:
            yield f"{name_of(one)}: selects other pods than the watcher's"


def _selector(one: Mapping[str, Any]) -> Mapping[str, str] | None:
    match one["kind"]:
        case "Service":
            found = one["spec"]["selector"]
        case "NetworkPolicy":
            found = one["spec"]["podSelector"].get("matchLabels", {})
        case "Deployment" | "StatefulSet" | "PodDisruptionBudget":
            found = one["spec"]["selector"]["matchLabels"]
        case _:
            return None
    selector: Mapping[str, str] = found
    return selector


def matches(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a selector that says something selects what has these labels."""
    return bool(selector) and selector.items() <= labels.items()


def _differs(part: Mapping[str, Any], wanted: Mapping[str, Any]) -> Iterator[str]:
    for path, value in wanted.items():
        found: Any = part
        for key in path.split("."):
            found = found.get(key) if isinstance(found, Mapping) else None
        if found != value:
            yield f"{path} is {found!r}, not {value!r}"
