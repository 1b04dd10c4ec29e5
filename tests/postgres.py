"""A PostgreSQL server of the tests' own, on 127.0.0.1: Debian's, started and stopped by its own `pg_ctl`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.components import free_port, missing

_ROOT = Path("/usr/lib/postgresql")
_OPTIONS = {"fsync": "off", "listen_addresses": "127.0.0.1", "max_connections": "200"}


def _binaries() -> Path:
    """The folder of the newest version's programs."""
    found = sorted(_ROOT.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")  # elsewhere, such as on macOS, it is on the path
    return Path(initdb).parent if initdb else missing("PostgreSQL is missing: apt-get install postgresql")


class Postgres:
    """One server. As root it runs as the user `postgres`, because it refuses to be root's."""

    def __init__(self, folder: Path) -> None:
        self._binaries = _binaries()
        self._data = folder / "data"
        self._log = folder / "postgres.log"
        self._user = "postgres" if os.geteuid() == 0 else None
        self._databases = 0
        self.folder = folder
        self.port = free_port()
        if self._user is not None:
            shutil.chown(folder, self._user)
        options = ("-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C")
        self._run("initdb", "-D", str(self._data), *options)

    def start(self, **options: str) -> None:
        """Start it and wait until it answers; `options` as in `postgresql.conf`."""
        given = {**_OPTIONS, "port": str(self.port), "unix_socket_directories": str(self._data.parent), **options}
        settings = " ".join(f"-c {name}={value}" for name, value in given.items())
        self._run("pg_ctl", "-D", str(self._data), "-l", str(self._log), "-o", settings, "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """`smart`, `fast`, or `immediate` as if the machine had died."""
        self._run("pg_ctl", "-D", str(self._data), "-m", mode, "-w", "stop")

    @property
    def pid(self) -> int:
        """Of the process that all others are children of."""
        return int((self._data / "postmaster.pid").read_text().split()[0])

    def url(self, database: str = "postgres") -> str:
        """Where a database is."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def database(self, *, like: str = "template1") -> str:
        """The URL of a new database, with what is in the one that it is to be `like`."""
        self._databases += 1
        name = f"watcher_{self._databases}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {like} STRATEGY file_copy")
        return self.url(name)

    def ask_for_password(self, user: str) -> None:
        """From now on this user needs the one it has."""
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {user} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        self.execute("SELECT pg_reload_conf()")

    def execute(self, statement: str, *, database: str = "postgres") -> str:
        """What psql says of a statement, unaligned and without headings."""
        return self.run("psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", self.url(database), "-c", statement)

    def run(self, program: str, *arguments: str) -> str:
        """What one of PostgreSQL's programs prints."""
        return self._run(program, *arguments)

    def _run(self, program: str, *arguments: str) -> str:
        with tempfile.TemporaryFile("w+") as output:  # a server started by `pg_ctl` would hold a pipe open
            done = subprocess.run(  # noqa: PLW1510 - looked at below, with what it said
                [self._binaries / program, *arguments], stdout=output, stderr=output, user=self._user, cwd="/"
            )
            output.seek(0)
            said = output.read()
        assert done.returncode == 0, f"{program}: {said}"
        return said


@contextmanager
def postgres(**options: str) -> Iterator[Postgres]:
    """A server that runs, in a folder that goes with it; `options` as in `postgresql.conf`."""
    folder = Path(tempfile.mkdtemp(prefix="watcher-postgres-"))
    try:
        server = Postgres(folder)
        server.start(**options)
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
