"""What the watcher is made of: the bill of materials, and the audit of it for known vulnerabilities."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUNTIME = ROOT / "requirements" / "image.txt"
SBOM = ("-W", "ignore", "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--pyproject", "pyproject.toml")


def runtime_packages() -> dict[str, str]:
    """The version of every package that is installed with the watcher."""
    return dict(
        re.findall(r"^([a-z0-9_.-]+)(?:\[\w+\])?==([^\s;]+)", RUNTIME.read_text(encoding="utf-8"), re.MULTILINE)
    )


def made(folder: Path, name: str) -> bytes:
    """What `make sbom` makes."""
    path = folder / name
    command = [sys.executable, *SBOM, "--of", "JSON", "-o", str(path), "requirements/image.txt"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)  # it validates what it writes
    return path.read_bytes()


def test_the_bill_of_materials_names_every_package_and_nothing_of_this_machine(tmp_path: Path) -> None:
    made_now = made(tmp_path, "watcher.cdx.json")
    bill: dict[str, Any] = json.loads(made_now)
    assert "serialNumber" not in bill  # the same each time it is made
    assert "timestamp" not in bill["metadata"]
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "watcher"
    found = {each["name"]: (each["version"], each["purl"]) for each in bill["components"]}
    wanted = runtime_packages()
    assert len(wanted) > 30
    assert found == {name: (version, f"pkg:pypi/{name}@{version}") for name, version in wanted.items()}
    assert all(each["externalReferences"][0]["hashes"] for each in bill["components"])
    for local in (str(ROOT), str(Path.home()), "file:"):
        assert local not in made_now.decode()


GOOD = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
BAD = {**GOOD, "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["3.14.6"]}]}
ABSENT = {"name": "aiohttp", "skip_reason": "Dependency not found and could not be audited: aiohttp (3.14.5)"}


def audited(folder: Path, said: object, *, stderr: str = "") -> subprocess.CompletedProcess[str]:
    """The audit, with a pip-audit that says this."""
    package = folder / "pip_audit"
    package.mkdir()
    text = said if isinstance(said, str) else json.dumps({"dependencies": said})
    program = f"import sys\nprint({text!r})\nprint({stderr!r}, file=sys.stderr)\nsys.exit({int(bool(stderr))})"
    (package / "__main__.py").write_text(program, encoding="utf-8")
    (package / "__init__.py").touch()
    command = [sys.executable, str(ROOT / "deploy" / "audit.py"), str(RUNTIME)]
    environment = {"PYTHONPATH": str(folder), "PATH": ""}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("said", "stderr", "code", "told"),
    [
        ([GOOD, GOOD], "", 0, "no known vulnerability in 2 packages"),
        ([GOOD, BAD], "", 1, "aiohttp 3.14.5: PYSEC-2026-1: fixed in 3.14.6"),
        ([ABSENT, BAD], "", 1, "PYSEC-2026-1"),
        ([GOOD, ABSENT], "", 3, "the advisory service told nothing of 1 of 2 packages: not audited: run it where"),
        ([], "", 3, "told nothing of 0 of 0 packages: not audited"),
        ("", "a\nb: ConnectionError", 3, "pip-audit could not ask: b: ConnectionError: not audited: run it where"),
        ("", "", 3, "pip-audit could not ask: it said nothing: not audited"),
    ],
)
def test_an_audit_that_could_not_look_is_no_good_news(
    said: object, stderr: str, code: int, told: str, tmp_path: Path
) -> None:
    ran = audited(tmp_path, said, stderr=stderr)
    output = ran.stdout + ran.stderr
    assert (ran.returncode, told in output, output.count("\n")) == (code, True, 1), output
