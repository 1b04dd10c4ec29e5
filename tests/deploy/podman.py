"""Podman with an image that the Dockerfile makes.

The Dockerfile is built on Debian's own Python, put where the official image of Python has it, because tests fetch no
images. What that image holds beside is not tested: its version of Python, its libraries, its certificates.
"""

from __future__ import annotations

import ast
import asyncio
import configparser
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.acceptance.process import Watcher
from tests.components import program

REPOSITORY = Path(__file__).parents[2]
BASE, IMAGE = "localhost/python", "localhost/watcher"
USER = 65532
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What containers are given where they are secured; `--read-only-tmpfs=false`: /tmp is read-only, too.
LOCKED = (
    *("--network=host", "--ulimit=nofile=1024:4096", "--ulimit=nproc=4096:4096"),
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"),
)
_WHERE_PACKAGES_ARE = frozenset(
    {"index-url", "extra-index-url", "find-links", "no-index", "trusted-host", "proxy", "cert", "client-cert"}
    | {"timeout", "default-timeout", "retries"}
)
# What the official image has and Debian's packages have elsewhere, or not.
_IMITATE = """#!/bin/sh
set -eu
cd "$1"
python=$(basename usr/lib/python3.*)
rm -f "usr/lib/$python/EXTERNALLY-MANAGED"
mkdir -p "usr/local/lib/$python/site-packages" "usr/local/lib/$python/dist-packages" usr/local/bin
ln -s "/usr/bin/$python" usr/local/bin/python
mkdir "usr/local/lib/$python/ensurepip"
touch usr/local/bin/pip3
cp -a "$PIP" "usr/local/lib/$python/site-packages/pip"
echo "/usr/local/lib/$python/site-packages" >"usr/local/lib/$python/dist-packages/site.pth"
cp usr/share/base-passwd/passwd.master etc/passwd
cp usr/share/base-passwd/group.master etc/group
"""


class Podman:
    """Podman with a storage of its own, and the image in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mmdebstrap = program("mmdebstrap", package="mmdebstrap")
        self._command = (
            program("podman", package="podman"),
            *("--root", str(folder / "root"), "--runroot", str(folder / "run"), "--tmpdir", str(folder / "tmp")),
            *("--runtime", program("runc", package="runc"), "--storage-driver", "overlay"),
            *("--cgroup-manager", "cgroupfs", "--events-backend", "none"),
        )

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Run it to its end; standard output, and standard error where it ended otherwise."""
        ended = subprocess.run((*self._command, *arguments), capture_output=True, text=True, timeout=600, check=False)
        assert ended.returncode == code, ended.stdout[-5000:] + ended.stderr[-5000:]
        return ended.stdout + (ended.stderr if code else "")

    def run(self, *arguments: str, options: Sequence[str] = (), code: int = 0) -> str:
        """Run a command of watcher in a container."""
        return self("run", "--rm", *LOCKED, *options, IMAGE, *arguments, code=code)

    def files(self) -> Path:
        """The files of the image."""
        return Path(self("image", "mount", IMAGE).strip())

    def inspect(self) -> dict[str, Any]:
        """What is recorded with the image."""
        image: dict[str, Any] = json.loads(self("image", "inspect", IMAGE))[0]
        return image

    @asynccontextmanager
    async def daemon(self, config: Path, data: Path, *options: str) -> AsyncIterator[Watcher]:
        """The image's own command in a container called `daemon`, until it has ended or is killed."""
        volumes = (f"--volume={config.parent}:/etc/watcher:ro", f"--volume={data}:/var/lib/watcher")
        process = await asyncio.create_subprocess_exec(
            *(*self._command, "run", "--name=daemon", *LOCKED, *volumes, *options, IMAGE),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        watcher = Watcher(process)
        try:
            watcher.url = (await watcher.logged("started"))["url"]
            yield watcher
        finally:
            self("rm", "--force", "--time=0", "daemon")
            await process.wait()
            await watcher._reading

    def clean_up(self) -> None:
        """Leave nothing: no container, no image, no mount."""
        self("rm", "--all", "--force", "--time=0")
        self("image", "unmount", "--all")
        self("image", "rm", "--all", "--force")
        for mount in reversed(Path("/proc/self/mounts").read_text().splitlines()):
            target = Path(mount.split()[1])
            if target.is_relative_to(self.folder):
                subprocess.run(("umount", target), check=True)
        shutil.rmtree(self.folder)


def make_base(podman: Podman) -> None:
    """Put an imitation of the official image of Python into the storage, as BASE."""
    pip = importlib.util.find_spec("pip")
    assert pip is not None
    assert pip.submodule_search_locations is not None
    hook, archive = podman.folder / "imitate", str(podman.folder / "base.tar")
    hook.write_text(_IMITATE)
    hook.chmod(0o700)
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    packages = "--include=base-files,base-passwd,coreutils,dash,libstdc++6,python3"
    subprocess.run(
        # Extracted only: installing as Debian does takes three times as long.
        (podman.mmdebstrap, "--quiet", "--variant=extract", packages, f"--extract-hook={hook}", release, archive),
        env={**os.environ, "PIP": pip.submodule_search_locations[0]},
        check=True,
        timeout=300,
    )
    podman("import", f"--change=ENV PATH={_PATH}", archive, BASE)


def build(podman: Podman) -> None:
    """Build the Dockerfile on BASE, as IMAGE; packages come from where pip finds them on this machine."""
    pip_conf = podman.folder / "pip.conf"
    volumes = (f"--volume={path}:{path}:ro" for path in pip_configuration(pip_conf))
    podman(
        *("build", "--isolation=chroot", "--pull=never", "--layers=false", "--network=host", "--format=docker"),
        *(*volumes, f"--secret=id=pip.conf,src={pip_conf}", f"--build-arg=PYTHON_IMAGE={BASE}"),
        *(f"--tag={IMAGE}", str(REPOSITORY)),
    )


def pip_configuration(path: Path) -> list[str]:
    """Write where pip finds packages on this machine as a pip.conf; the files and folders that this names."""
    said = subprocess.run((sys.executable, "-m", "pip", "config", "list"), capture_output=True, text=True, check=True)
    lines = (line.partition("=") for line in said.stdout.splitlines())
    settings = {tuple(key.rsplit(".", 1)): ast.literal_eval(value).split() for key, _, value in lines}
    parser = configparser.RawConfigParser()
    # From the weakest to the strongest: what is for all commands, what is for `install`, the environment.
    parser["global"] = {
        name: " ".join(words)
        for wanted in ("global", "install", ":env:")
        for (section, name), words in settings.items()
        if section == wanted and name in _WHERE_PACKAGES_ARE
    }
    path.touch(mode=0o600)
    with path.open("w") as file:
        parser.write(file)
    words = " ".join(parser["global"].values()).split()
    # A folder that is an index refers to packages beside it.
    local = {str(Path(word[7:]).parent) if word.startswith("file:///") else word for word in words}
    return sorted(name for name in local if name.startswith("/") and Path(name).exists())
