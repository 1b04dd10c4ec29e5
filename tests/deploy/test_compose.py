"""The Compose example. Docker is not needed: each program reads its own part of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.acceptance.process import ended
from tests.components import program
from tests.deploy.monitoring import DEPLOY
from watcher import __version__
from watcher.cli.main import main
from watcher.settings.loader import load_text
from watcher.simulator import Credentials, load_scenario

COMPOSE = DEPLOY / "compose/compose.yaml"
FOLDER = COMPOSE.parent


def document() -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
    return read


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def mounts(service: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """What is mounted where: by target, the source and whether it is read-only."""
    parts = [mount.split(":") for mount in service.get("volumes", [])]
    return {part[1]: (part[0], part[2:] == ["ro"]) for part in parts}


async def test_docker_compose_accepts_it(tmp_path: Path) -> None:
    """Debian 12's docker-compose knows the specification without its newer `name`, and needs no Docker to check."""
    binary = program("docker-compose", package="docker-compose")
    plain = tmp_path / "compose.yaml"
    plain.write_text(re.sub(r"^name:.*\n", "", COMPOSE.read_text(), flags=re.MULTILINE))
    code, out, err = await ended(
        *(binary, "--project-directory", str(FOLDER), "-f", str(plain), "config"), cwd=tmp_path
    )
    assert code == 0, out + err
    assert set(yaml.safe_load(out)["services"]) == set(services())


def test_the_services() -> None:
    assert set(services()) == {"token", "cloud", "watcher", "prometheus", "alertmanager", "grafana"}
    for name, service in services().items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service), name
        uid = service["user"].partition(":")[0]
        assert int(uid) > 0, name
        tag = service["image"].partition(":")[2]
        assert re.fullmatch(r"v?\d+\.\d+\.\d+", tag), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert name == "token" or service["healthcheck"]["test"][0] == "CMD", name
        for dependency in service.get("depends_on", []):
            assert dependency in services()
    ours = {name for name, service in services().items() if service["image"] == f"watcher:{__version__}"}
    assert ours == {"token", "cloud", "watcher"}
    assert all((FOLDER / services()[name]["build"] / "Dockerfile").is_file() for name in ours)


def test_what_is_mounted_is_there_and_only_data_can_be_written() -> None:
    volumes = set(document()["volumes"])
    used = set()
    for name, service in services().items():
        for target, (source, read_only) in mounts(service).items():
            if source.startswith("."):
                assert (FOLDER / source).is_dir(), (name, source)
                assert read_only, (name, source)
            else:
                used.add(source)
                assert read_only == (source == "token" and name != "token"), (name, target)
    assert used == volumes


def test_every_file_is_where_its_program_is_told_to_look() -> None:
    """Arguments and settings that name a path inside a container are followed to the file outside."""

    def outside(service: str, path: str) -> Path:
        target = max(
            (target for target in mounts(services()[service]) if path.startswith(target + "/")), key=len, default=""
        )
        assert target, (service, path)
        return FOLDER / mounts(services()[service])[target][0] / path.removeprefix(target + "/")

    for service in ("prometheus", "alertmanager"):
        [config] = [arg for arg in services()[service]["command"] if arg.startswith("--config.file=")]
        assert outside(service, config.partition("=")[2]).is_file()
    command = services()["cloud"]["command"]
    assert load_scenario(outside("cloud", command[command.index("--scenario") + 1])).timeline
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert outside("grafana", home).is_file()
    [provider] = yaml.safe_load((FOLDER / "grafana/dashboards/watcher.yaml").read_text())["providers"]
    assert outside("grafana", provider["options"]["path"] + "/self.json").is_file()
    token = "/run/secrets/watcher/bearer_token"
    assert token in (FOLDER / "watcher/watcher.yaml").read_text()
    assert token in (DEPLOY / "prometheus/prometheus.yaml").read_text()
    for service in ("watcher", "prometheus"):
        assert mounts(services()[service])["/run/secrets/watcher"] == ("token", True)


def test_programs_find_each_other() -> None:
    def ports(name: str) -> set[str]:
        return {f"{name}:{port.rpartition(':')[2]}" for port in services()[name]["ports"]}

    scrape = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
    assert set(scrape["scrape_configs"][0]["static_configs"][0]["targets"]) == ports("watcher")
    assert set(scrape["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]) == ports("alertmanager")
    [datasource] = yaml.safe_load((FOLDER / "grafana/datasources/watcher.yaml").read_text())["datasources"]
    assert {datasource["url"]} == {f"http://{address}" for address in ports("prometheus")}


async def test_amtool_accepts_the_configuration_of_alertmanager() -> None:
    amtool = program("amtool", package="prometheus-alertmanager")
    code, out, err = await ended(amtool, "check-config", "alertmanager.yaml", cwd=FOLDER / "alertmanager")
    assert code == 0, out + err


def test_watcher_accepts_its_configuration_and_it_fits_the_simulated_cloud(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "bearer_token"
    token.write_text("secret")
    config = tmp_path / "watcher.yaml"
    config.write_text(
        (FOLDER / "watcher/watcher.yaml").read_text().replace("/run/secrets/watcher/bearer_token", str(token))
    )
    assert main(["check", "-c", str(config)]) == 0, capsys.readouterr().err
    [source] = yaml.safe_load(config.read_text())["sources"]
    cloud = Credentials()
    command = services()["cloud"]["command"]
    assert source["endpoint"] == source["iam_endpoint"] == f"http://127.0.0.1:{command[command.index('--port') + 1]}"
    assert (source["region"], source["project_id"]) == (cloud.region, cloud.project_id)
    assert (source["auth"]["access_key"], source["auth"]["secret_key"]) == (cloud.access_key, cloud.secret_key)
    assert services()["cloud"]["network_mode"] == "service:watcher"  # it serves on loopback only


# -- compose.replicas.yaml: three watchers on PostgreSQL

REPLICAS = FOLDER / "compose.replicas.yaml"
SECRETS = "/run/secrets/watcher"


def added() -> dict[str, dict[str, Any]]:
    """The services of the second file: whole ones, and what it changes of others."""
    found: dict[str, dict[str, Any]] = yaml.safe_load(REPLICAS.read_text())["services"]
    return found


async def test_docker_compose_puts_both_files_together(tmp_path: Path) -> None:
    binary = program("docker-compose", package="docker-compose")
    plain = tmp_path / "compose.yaml"
    plain.write_text(re.sub(r"^name:.*\n", "", COMPOSE.read_text(), flags=re.MULTILINE))
    files = ("-f", str(plain), "-f", str(REPLICAS))
    code, out, err = await ended(binary, "--project-directory", str(FOLDER), *files, "config", cwd=tmp_path)
    assert code == 0, out + err
    together = yaml.safe_load(out)["services"]
    assert set(together) == {*services(), "postgres", "watcher-2", "watcher-3"}
    for name, service in together.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert int(service["user"].partition(":")[0]) > 0, name
        assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?", service["image"].partition(":")[2]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    for name in ("watcher", "watcher-2", "watcher-3"):
        assert mounts(together[name])["/etc/watcher"] == (str(FOLDER / "replicas"), True), name
        assert mounts(together[name])[SECRETS] == ("token", True), name
        assert together[name]["image"] == f"watcher:{__version__}"
        assert together[name]["depends_on"]["postgres"]["condition"] == "service_healthy"
        assert together[name]["stop_grace_period"] == "45s"
    assert mounts(together["prometheus"])["/etc/replicas"] == (str(FOLDER / "replicas"), True)
    assert "--config.file=/etc/replicas/prometheus.yaml" in together["prometheus"]["command"]


def test_the_secrets_that_are_made_are_those_that_are_used(tmp_path: Path) -> None:
    made = added()["token"]["entrypoint"][-1].replace("/var/lib/watcher", str(tmp_path))
    exec(made, {})  # noqa: S102 - ours
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    exec(made, {})  # noqa: S102 - what there is stays
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before
    text = (FOLDER / "replicas/watcher.yaml").read_text() + REPLICAS.read_text()
    assert set(re.findall(rf"{SECRETS}/(\w+)", text)) == set(before)
    postgres = added()["postgres"]
    user, database = (postgres["environment"][f"POSTGRES_{what}"] for what in ("USER", "DB"))
    assert before["store_url"] == f"postgresql://{user}:{before['postgres_password']}@postgres/{database}"


async def test_each_replica_has_a_port_of_its_own_where_prometheus_looks(tmp_path: Path) -> None:
    """They are in one network. The example of the simulated cloud is the one of before, as several sources."""
    for secret in ("bearer_token", "store_url"):
        (tmp_path / secret).write_text("postgresql://watcher:secret@postgres/watcher")
    text = (FOLDER / "replicas/watcher.yaml").read_text().replace(SECRETS, str(tmp_path))
    environments = [{}, added()["watcher-2"]["environment"], added()["watcher-3"]["environment"]]
    loaded = [load_text(text, environment, file="watcher.yaml") for environment in environments]
    assert [str(finding) for each in loaded for finding in each.findings] == []
    ports = [each.settings.web.listen.port for each in loaded if each.settings is not None]
    assert ports == [9468, 9470, 9471]
    published = [port.split(":") for port in (*services()["watcher"]["ports"], *added()["watcher"]["ports"])]
    assert [(int(there), int(here)) for _, there, here in published] == [(port, port) for port in ports]
    replicas = yaml.safe_load((FOLDER / "replicas/prometheus.yaml").read_text())
    [scraped] = replicas["scrape_configs"]
    assert scraped["static_configs"] == [{"targets": [f"watcher:{port}" for port in ports]}]
    single = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())
    assert replicas["rule_files"] == [f"/etc/prometheus/{name}" for name in single["rule_files"]]
    assert {key: replicas[key] for key in ("global", "alerting")} == {
        key: single[key] for key in ("global", "alerting")
    }
    [before] = yaml.safe_load((FOLDER / "watcher/watcher.yaml").read_text())["sources"]
    for source in yaml.safe_load(text)["sources"]:
        assert {**source, "name": "", "discover": []} == {**before, "name": "", "discover": []}
