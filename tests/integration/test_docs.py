"""What is not documented fails here, and so does what is documented and not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from tests.integration.test_ops import busy_metrics
from watcher.cli.main import main
from watcher.store import open_store
from watcher.store.tables import metadata

ROOT = Path(__file__).parents[2]


def test_every_metric_is_documented_and_every_documented_one_is_there() -> None:
    documented = set(re.findall(r"^\| `(watcher_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    there = {
        family.name + ("_total" if family.type == "counter" else "")
        for family in busy_metrics().registry.collect()
        if family.name.startswith("watcher_")
    }
    assert documented == there


def test_every_command_is_in_the_readme_or_the_changelog(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    commands = set(re.findall(r"^│ ([a-z][a-z-]+) ", capsys.readouterr().out, re.MULTILINE))
    assert {"run", "check", "once", "init", "simulate", "demo", "schema", "test-receiver"} <= commands
    text = (ROOT / "README.md").read_text() + (ROOT / "CHANGELOG.md").read_text()
    assert {name for name in commands if f"watcher {name}" not in text and f"`{name}`" not in text} == set()


def test_links_between_documents_lead_somewhere() -> None:
    broken = [
        (page.name, target)
        for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").rglob("*.md")]
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


async def test_the_migrations_make_the_tables(tmp_path: Path) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, metadata))

    store = await open_store(f"sqlite:///{tmp_path / 'watcher.db'}")
    try:
        async with store.engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await store.close()


def test_nothing_names_a_package_registry() -> None:
    # Written in two halves, so that this file does not name one either.
    hosts = [first + second for first, second in (("pypi", ".org"), ("python", "hosted.org"), ("registry.np", "mjs"))]
    below = [
        path for folder in ("requirements", ".ci", "deploy", "tests", "docs") for path in (ROOT / folder).rglob("*")
    ]
    suspects = [*ROOT.glob("*"), *below]
    found = [
        (path.name, host)
        for path in suspects
        if path.is_file()
        for host in hosts
        if host in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []


def test_the_locked_requirements_have_hashes_and_no_addresses() -> None:
    for name in ("runtime.txt", "image.txt", "build.txt", "dev.txt", "helm.txt"):
        text = (ROOT / "requirements" / name).read_text()
        pinned = re.findall(r"^[a-z0-9._\[\],-]+==\S+", text, re.MULTILINE)
        assert pinned
        assert "://" not in text
        for block in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
            assert "--hash=sha256:" in block, block[:80]
