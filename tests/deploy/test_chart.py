"""deploy/helm/watcher as Helm renders, lints and packages it."""

from __future__ import annotations

import copy
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.deploy.chart_values import CONFIG, MISTAKES, SECRETS, SOURCE, VALUES
from tests.deploy.hardening import violations
from tests.deploy.helm import CHART, Helm, Rendered, running_helm
from tests.deploy.kubernetes import ROOT, VERSIONS, complaints, configuration, only, plain_rules, workloads
from watcher import __version__
from watcher.settings.loader import load_text
from watcher.settings.schema import json_schema


def secret_keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The paths of all secrets in the watcher's configuration: what can be given as a file, too; `0` is an item."""

    def walk(part: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        properties = part.get("properties", {})
        yield from ((*path, key) for key in properties if f"{key}_file" in properties)
        for key, value in properties.items():
            yield from walk(value, (*path, key))
        for alternative in (*part.get("anyOf", ()), *part.get("oneOf", ())):
            yield from walk(alternative, path)
        if isinstance(part.get("items"), dict):
            yield from walk(part["items"], (*path, "0"))

    return walk(schema, ())


def with_secret(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """Values whose configuration has a secret in it, in plain."""
    config: dict[str, Any] = copy.deepcopy({**CONFIG, "receivers": [{"name": "a", "type": "console"}]})
    part: Any = config
    for key in path[:-1]:
        part = part[0] if key == "0" else part.setdefault(key, {})
    part[path[-1]] = [value] if path[-1] == "urls" else value
    return {"config": config, "existingSecret": "watcher"}


# Where the store is follows from `store.type`: the schema refuses the URL itself.
SECRET_KEYS = sorted(set(secret_keys(json_schema())) - {("store", "url")})
PLAIN = "https://user:hunter2@example.com"


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helm]:
    with running_helm(tmp_path_factory.mktemp("home")) as process:
        yield process


@pytest.fixture(scope="module")
def installs(helm: Helm) -> dict[str, Rendered]:
    values = {
        **VALUES,
        **{name: wrong for name, (wrong, _) in MISTAKES.items()},
        **{"plain " + ".".join(path): with_secret(path, PLAIN) for path in SECRET_KEYS},
        **{"variable " + ".".join(path): with_secret(path, "https://${NAME}") for path in SECRET_KEYS},
    }
    return dict(zip(values, helm.render(*values.values()), strict=True))


@pytest.fixture(scope="module")
def rendered(installs: dict[str, Rendered]) -> dict[str, list[dict[str, Any]]]:
    return {name: installs[name].objects for name in VALUES}


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_is_valid(rendered: dict[str, list[dict[str, Any]]], version: str) -> None:
    distinct = {json.dumps(one): one for objects in rendered.values() for one in objects}
    assert [wrong for one in distinct.values() for wrong in complaints(one, version)] == []


@pytest.mark.parametrize("name", ["defaults", "sqlite", "postgres", "two replicas", "tls"])
def test_everything_is_hardened(rendered: dict[str, list[dict[str, Any]]], name: str) -> None:
    assert violations(rendered[name]) == []


def test_what_is_switched_off_and_on_changes_nothing_else(rendered: dict[str, list[dict[str, Any]]]) -> None:
    # What was asked for: a claim and an account of one's own; nothing secret to mount.
    assert [wrong for wrong in violations(rendered["nothing"]) if "mounts {" not in wrong] == ["service accounts: []"]
    assert violations(rendered["everything"]) == []
    assert sorted(one["kind"] for one in rendered["nothing"]) == ["ConfigMap", "Pod", "Service", "StatefulSet"]
    assert {one["kind"] for one in rendered["everything"]} == {
        *("ConfigMap", "Ingress", "NetworkPolicy", "Pod", "PodDisruptionBudget", "PrometheusRule", "Secret", "Service"),
        *("ServiceAccount", "ServiceMonitor", "StatefulSet"),
    }


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused(installs: dict[str, Rendered], name: str) -> None:
    assert MISTAKES[name][1] in (installs[name].error or "")


@pytest.mark.parametrize("path", [".".join(path) for path in SECRET_KEYS])
def test_no_secret_gets_into_the_configuration(installs: dict[str, Rendered], path: str) -> None:
    error = installs[f"plain {path}"].error or ""
    assert f"config.{re.sub(r'[.]0', '[0]', path).removesuffix('[0]')} is a secret" in error
    assert "hunter2" not in error
    assert installs[f"variable {path}"].error is None


def test_every_key_of_the_configuration_is_a_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["properties"]["config"]["properties"]) == set(json_schema()["properties"])


def test_the_schema_is_strict_and_takes_the_defaults() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate(values, schema, jsonschema.Draft7Validator)
    assert set(schema["properties"]) == {*values, "global"}
    for key, value in values.items():
        part = schema["properties"][key]
        if isinstance(value, dict) and part.get("additionalProperties") is False:
            assert set(value) <= set(part["properties"]), key


@pytest.mark.parametrize("name", VALUES)
def test_the_watcher_takes_the_configuration(
    rendered: dict[str, list[dict[str, Any]]], tmp_path: Path, name: str
) -> None:
    text = configuration(rendered[name])
    for path in set(re.findall(r"/etc/[-\w/.]+", text)):
        (tmp_path / Path(path).name).write_text("postgresql://w:d@db/w\n" if "store" in path else "secret")
        text = text.replace(path, str(tmp_path / Path(path).name))
    loaded = load_text(text, {}, file="watcher.yaml")
    assert [str(finding) for finding in loaded.findings if finding.level == "error"] == []
    assert loaded.settings is not None
    assert str(loaded.settings.web.listen) == ":9468"
    shared = VALUES[name].get("store") == {"type": "postgres"}
    where = "postgresql://w:d@db/w" if shared else "sqlite:////var/lib/watcher/watcher.db"
    assert loaded.settings.store.required_secret("url").reveal() == where


def test_values_reach_the_configuration_unchanged(rendered: dict[str, list[dict[str, Any]]]) -> None:
    config = yaml.safe_load(configuration(rendered["everything"]))
    assert config["web"]["metrics_instance_limit"] == 2000000
    assert config["maintenance"][0]["start"] == "22:00"
    instances = yaml.safe_load(configuration(rendered["sqlite"]))["sources"][0]["instances"]
    assert instances == SOURCE["instances"]


def test_postgres_is_several_replicas_and_sqlite_is_one(installs: dict[str, Rendered]) -> None:
    replicas = {name: next(workloads(installs[name].objects))["spec"]["replicas"] for name in VALUES}
    assert replicas == {**dict.fromkeys(VALUES, 1), "postgres": 3, "two replicas": 2}
    config = yaml.safe_load(configuration(installs["postgres"].objects))
    assert config["store"] == {"url_file": f"{SECRETS}/store-url", "retention": "30d"}
    assert config["cluster"] == {"lease_ttl": "10s"}
    assert "3 replicas share the work" in installs["postgres"].notes
    assert "replicas" not in installs["sqlite"].notes


def test_the_metadata_service_is_reached_only_by_who_needs_it(rendered: dict[str, list[dict[str, Any]]]) -> None:
    policies = {name: [one for one in rendered[name] if one["kind"] == "NetworkPolicy"] for name in VALUES}
    assert [name for name in VALUES if "169.254.169.254/32" in str(policies[name])] == ["everything"]


def test_probes_and_prometheus_speak_tls_where_the_watcher_does(rendered: dict[str, list[dict[str, Any]]]) -> None:
    for name, scheme in (("tls", "HTTPS"), ("sqlite", "HTTP")):
        (container,) = only(rendered[name], "StatefulSet")["spec"]["template"]["spec"]["containers"]
        probes = [container[f"{probe}Probe"]["httpGet"]["scheme"] for probe in ("startup", "liveness", "readiness")]
        assert probes == [scheme] * 3
        assert only(rendered[name], "ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == scheme.lower()
        assert only(rendered[name], "Pod")["spec"]["containers"][0]["args"][1].startswith(
            f"{scheme.lower()}://watcher:"
        )


def test_prometheus_gets_the_token(rendered: dict[str, list[dict[str, Any]]]) -> None:
    (endpoint,) = only(rendered["sqlite"], "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "watcher", "key": "web-token"}
    assert endpoint["authorization"]["credentials"]["key"] in only(rendered["sqlite"], "Secret")["data"]
    (endpoint,) = only(rendered["tls"], "ServiceMonitor")["spec"]["endpoints"]
    assert "authorization" not in endpoint


def test_the_release_may_be_called_otherwise(helm: Helm) -> None:
    values = {**VALUES["sqlite"], "nameOverride": "images"}
    (made,) = helm.render(values, release="prod")
    workload = only(made.objects, "StatefulSet")
    assert workload["metadata"]["name"] == "prod-images"
    monitor = only(made.objects, "ServiceMonitor")["spec"]
    service = only(made.objects, "Service")
    # The rules look for this job.
    assert service["metadata"]["labels"][monitor["jobLabel"]] == "watcher"
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["authorization"]["credentials"]["name"] == "prod-images"
    assert [wrong for wrong in violations(made.objects) if "serviceAccountName" not in wrong] == [
        "service accounts: ['prod-images']"
    ]


def test_rules_and_dashboards_are_those_of_the_project(rendered: dict[str, list[dict[str, Any]]]) -> None:
    assert only(rendered["everything"], "PrometheusRule")["spec"]["groups"] == plain_rules()
    maps = [one for one in rendered["everything"] if "grafana_dashboard" in one["metadata"]["labels"]]
    found = {name: json.loads(text) for one in maps for name, text in one["data"].items()}
    assert found == {path.name: json.loads(path.read_text()) for path in (ROOT / "deploy/grafana").glob("*.json")}


def test_the_readme_is_true(helm: Helm) -> None:
    readme = (CHART / "README.md").read_text()
    (text,) = re.findall(r"(?s)```yaml\n(# my-values.yaml\n.*?)```", readme)
    (made,) = helm.render(yaml.safe_load(text))
    assert violations(made.objects) == []
    keys = re.findall(r"--from-(?:file|literal)=([\w.-]+)", readme)
    assert set(re.findall(rf"{SECRETS}/([\w.-]+)", configuration(made.objects))) == set(keys)
    documented = {key.partition(".")[0] for key in re.findall(r"(?m)^\| `([\w.]+)`", readme)}
    assert documented == set(yaml.safe_load((CHART / "values.yaml").read_text()))


def test_the_rules_of_the_chart_are_no_copies() -> None:
    assert all(path.is_symlink() for path in (CHART / "files").rglob("*") if path.is_file())


def test_nothing_is_to_be_said_against_the_chart(helm: Helm) -> None:
    # Below a warning is that it has no icon.
    assert helm.lint() == []


def test_the_package_holds_what_is_linked(helm: Helm, tmp_path: Path) -> None:
    archive = helm.package(tmp_path)
    assert archive.name == f"watcher-{__version__}.tgz"
    with tarfile.open(archive) as packed:
        content = {member.name: packed.extractfile(member) for member in packed.getmembers() if member.isfile()}
        texts = {name: file.read().decode() for name, file in content.items() if file is not None}
    for name in ("alerts.yaml", "recording.yaml"):
        assert texts[f"watcher/files/{name}"] == (ROOT / "deploy/prometheus" / name).read_text()
    for path in (ROOT / "deploy/grafana").glob("*.json"):
        assert texts[f"watcher/files/dashboards/{path.name}"] == path.read_text()
    assert yaml.safe_load(texts["watcher/Chart.yaml"])["appVersion"] == __version__
    assert "watcher/values.schema.json" in texts


def test_the_workload_is_that_of_kustomize(rendered: dict[str, list[dict[str, Any]]]) -> None:
    """Two ways to write the same pod."""
    from tests.deploy.kubernetes import KUSTOMIZATIONS, kustomize  # noqa: PLC0415 - only this needs kubectl

    for name in ("sqlite", "postgres"):
        (plain,) = workloads(kustomize(KUSTOMIZATIONS / "overlays" / name))
        (charted,) = workloads(rendered[name])
        assert _pod(charted) == _pod(plain)
        for key in ("replicas", "strategy", "minReadySeconds", "podManagementPolicy"):
            assert charted["spec"].get(key) == plain["spec"].get(key), key


def _pod(workload: Mapping[str, Any]) -> dict[str, Any]:
    """The pod, without what the chart says beside kustomize's: labels, and what is the default anyway."""
    pod: dict[str, Any] = copy.deepcopy(workload["spec"]["template"]["spec"])
    pod["volumes"].sort(key=lambda volume: volume["name"])
    for spread in pod.get("topologySpreadConstraints", ()):
        spread["labelSelector"]["matchLabels"].pop("app.kubernetes.io/instance", None)
    (container,) = pod["containers"]
    container.pop("imagePullPolicy", None)
    for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
        container[probe]["httpGet"].pop("scheme", None)
    return pod
