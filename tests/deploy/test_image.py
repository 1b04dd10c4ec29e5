"""The image that the Dockerfile makes, run as Kubernetes runs it: not as root, on a read-only root.

It is built on an imitation of the official image of Python: podman.py beside this file says what that leaves out.
"""

from __future__ import annotations

import asyncio
import configparser
import json
import os
import shutil
import signal
import stat
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.acceptance.process import configuration
from tests.components import free_port
from tests.deploy.podman import BASE, IMAGE, LOCKED, USER, Podman, build, make_base
from watcher import __version__
from watcher.simulator import Simulator

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]
ADDED_MAX_BYTES = 150_000_000


@pytest.fixture
def podman() -> Iterator[Podman]:
    """The image, freshly built."""
    if os.geteuid() != 0:
        message = "images are built and run as root here"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    podman = Podman(Path(tempfile.mkdtemp(prefix="watcher-")))  # its paths may not be long
    try:
        make_base(podman)
        build(podman)
        yield podman
    finally:
        podman.clean_up()


def is_writable(about: os.stat_result) -> bool:
    """Whether the container's user may change this file or folder; those that belong to everybody do not count."""
    if not (stat.S_ISREG(about.st_mode) or stat.S_ISDIR(about.st_mode)) or about.st_mode & stat.S_ISVTX:
        return False
    return USER in (about.st_uid, about.st_gid) or bool(about.st_mode & stat.S_IWOTH)


def handles(process: Path, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal; fails where it has ended."""
    lines = (line.split() for line in (process / "status").read_text().splitlines())
    caught = next(int(words[1], 16) for words in lines if words[0] == "SigCgt:")
    return bool(caught & (1 << (number - 1)))


def folder_of(config: Path) -> Path:
    """The same configuration in a folder that every user can read."""
    folder = config.parent / "config"
    folder.mkdir()
    return Path(shutil.copy(config, folder / "watcher.yaml"))


def it_says_what_it_is(podman: Podman, _folder: Path) -> None:
    image = podman.inspect()
    settings = image["Config"]
    assert settings["User"] == f"{USER}:{USER}"
    assert settings["WorkingDir"] == "/var/lib/watcher"
    assert settings["Entrypoint"] == ["watcher"]
    assert settings["Cmd"] == ["run", "-c", "/etc/watcher/watcher.yaml"]
    assert set(settings["ExposedPorts"]) == {"9468/tcp"}
    assert set(settings["Volumes"]) == {"/var/lib/watcher"}
    assert image["Labels"]["org.opencontainers.image.title"] == "watcher"
    assert podman.run("--version").strip().endswith(__version__)


def it_is_small(podman: Podman, _folder: Path) -> None:
    base = json.loads(podman("image", "inspect", BASE))[0]["Size"]
    size = podman.inspect()["Size"]
    print(f"image: {size / 1e6:.0f} MB, of these {(size - base) / 1e6:.0f} MB on top of Python")  # noqa: T201
    assert size - base < ADDED_MAX_BYTES


def it_holds_what_runs_and_nothing_else(podman: Podman, _folder: Path) -> None:
    root = podman.files()
    found = [path for path in root.rglob("*") if not path.is_symlink()]
    names = {str(path.relative_to(root)) for path in found}
    assert any(name.endswith("site-packages/watcher/__main__.py") for name in names)
    assert any(name.endswith("site-packages/apprise/__init__.py") for name in names)
    tools = {"pip", "ensurepip", "hatchling", "setuptools", "pip.conf", "Makefile", "Dockerfile", ".git"}
    ours = {Path(name) for name in names if name.startswith(("opt/", "src/", "usr/local/", "etc/", "root/"))}
    assert not {path.name for path in ours} & tools
    assert not {
        path for path in ours if path.parts[0] == "src" or (path.name == "tests" and "watcher" in path.parts[2:])
    }
    assert list((root / "etc/watcher").iterdir()) == list((root / "var/lib/watcher").iterdir()) == []
    writable = {str(path.relative_to(root)) for path in found if is_writable(path.stat())}
    assert writable == {"var/lib/watcher"}
    assert not [path for path in found if path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID) and path.is_file()]


def nothing_of_the_machine_that_built_it_is_recorded(podman: Podman, _folder: Path) -> None:
    recorded = podman("image", "inspect", IMAGE) + podman("history", "--no-trunc", "--format=json", IMAGE)
    with (podman.folder / "pip.conf").open() as file:
        parser = configparser.RawConfigParser()
        parser.read_file(file)
    for value in parser["global"].values():
        assert not [word for word in value.split() if len(word) > 4 and word in recorded]


def no_python_of_it_installs_anything(podman: Podman, _folder: Path) -> None:
    for python, module in product(("/opt/watcher/bin/python", "/usr/local/bin/python"), ("pip", "ensurepip")):
        said = podman.run("-c", f"import {module}", options=(f"--entrypoint={python}",), code=1)
        assert f"No module named '{module}'" in said


def a_bad_configuration_ends_it_with_code_2_and_its_place(podman: Podman, folder: Path) -> None:
    (folder / "watcher.yaml").write_text("sources: []\nreceivers: [{name: x, type: carrier-pigeon}]\n")
    folder.chmod(0o755)
    said = podman.run(options=(f"--volume={folder}:/etc/watcher:ro",), code=2)
    assert "/etc/watcher/watcher.yaml:2:" in said
    assert "Traceback" not in said


def every_documented_receiver_can_be_used(podman: Podman, folder: Path) -> None:
    receivers = [
        {"name": "chat", "type": "slack", "webhook_url": "http://127.0.0.1:9/hook"},
        {"name": "pipeline", "type": "webhook", "url": "http://127.0.0.1:9/hook", "secret": "whsec_MTIzNDU2Nzg5MDEy"},
        {"name": "oncall", "type": "pagerduty", "routing_key": "0123456789abcdef0123456789abcdef"},
        {"name": "alerts", "type": "alertmanager", "url": "http://127.0.0.1:9093"},
        {"name": "others", "type": "apprise", "urls": ["json://127.0.0.1:9/"]},
        {"name": "screen", "type": "console"},
    ]
    key = {"method": "aksk", "access_key": "a", "secret_key": "b"}
    source = {"name": "prod", "region": "ap-southeast-3", "project_id": "0" * 32, "auth": key, "discover": [{}]}
    (folder / "watcher.yaml").write_text(json.dumps({"sources": [source], "receivers": receivers}))
    folder.chmod(0o755)
    podman.run("check", "-c", "/etc/watcher/watcher.yaml", options=(f"--volume={folder}:/etc/watcher:ro",))


def it_can_use_postgresql(podman: Podman, _folder: Path) -> None:
    """The driver belongs to an extra, and half of it is machine code: it is there, and loads."""
    code = "import asyncpg.protocol.protocol, watcher.store.postgres; print(asyncpg.__version__)"
    said = podman.run("-c", code, options=("--entrypoint=/opt/watcher/bin/python",))
    assert f"asyncpg=={said.strip()} " in (ROOT / "requirements/image.txt").read_text()


def it_can_be_ended_while_it_starts(podman: Podman, _folder: Path) -> None:
    podman("run", "--detach", "--name=early", *LOCKED, IMAGE, "simulate", "--port=0")
    process = Path("/proc", podman("inspect", "--format={{.State.Pid}}", "early").strip())
    while not handles(process, signal.SIGTERM):
        pass
    os.kill(int(process.name), signal.SIGTERM)
    assert podman("wait", "early").strip() == "143"


async def it_watches_on_a_read_only_root_and_drains(podman: Podman, folder: Path) -> None:
    data = folder / "data"
    data.mkdir()
    os.chown(data, USER, USER)
    folder.chmod(0o755)
    port = free_port()
    async with Simulator() as simulator:
        config = configuration(
            simulator,
            folder,
            instances=simulator.world.ids(),
            receivers=[{"name": "screen", "type": "console"}],
            store={"url": "sqlite:///watcher.db"},
            web={"listen": f"127.0.0.1:{port}"},
        )
        where = f"--env=WATCHER_URL=http://127.0.0.1:{port}"
        # A proxy for the world outside must not be asked for what is within.
        proxy = "--env=http_proxy=http://127.0.0.1:9"
        async with podman.daemon(folder_of(config), data, where, proxy) as watcher:
            await watcher.until_ready()
            assert (await watcher.get("/-/healthy"))[0] == 200
            await asyncio.to_thread(podman, "healthcheck", "run", "daemon")
            seen = await asyncio.to_thread(
                podman, "exec", "daemon", "watcher", "status", "-c", "/etc/watcher/watcher.yaml"
            )
            assert all(instance_id in seen for instance_id in simulator.world.ids())
            report = ("watcher", "report", "-c", "/etc/watcher/watcher.yaml", "--since", "7d")
            await asyncio.to_thread(podman, "exec", "daemon", *report)
            code = await watcher.end(signal.SIGTERM)
        assert code == 0
        assert watcher.log[-1]["event"] == "stopped"
    written = {path.name: path.stat().st_uid for path in data.iterdir()}
    assert written == dict.fromkeys(("watcher.db", "watcher.db.lock", "report.html"), USER)


CHECKS = (
    it_says_what_it_is,
    it_is_small,
    it_holds_what_runs_and_nothing_else,
    nothing_of_the_machine_that_built_it_is_recorded,
    no_python_of_it_installs_anything,
    a_bad_configuration_ends_it_with_code_2_and_its_place,
    every_documented_receiver_can_be_used,
    it_can_use_postgresql,
    it_can_be_ended_while_it_starts,
)


async def test_the_image(podman: Podman, tmp_path: Path, subtests: pytest.Subtests) -> None:
    """One test, because where several run at once each of many would build an image of its own."""
    tmp_path.chmod(0o755)
    for check in CHECKS:
        folder = tmp_path / check.__name__
        folder.mkdir()
        with subtests.test(check.__name__):
            await asyncio.to_thread(check, podman, folder)
    await it_watches_on_a_read_only_root_and_drains(podman, tmp_path)
