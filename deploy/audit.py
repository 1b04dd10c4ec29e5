# ruff: noqa: INP001 - a script, not part of a package
"""Are there known vulnerabilities in what the watcher is made of? Asks the package index's advisory service.

Exit code 0: none in any package. 1: some, each a line. 3: not known, because the service did not answer for all of
them: pip-audit itself ends well then, having looked at nothing.

    python deploy/audit.py requirements/image.txt
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

FOUND, UNKNOWN = 1, 3
_ASK = ("-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--disable-pip", "--require-hashes", "-r")


def main(requirements: str) -> int:
    """Audit one file of requirements."""
    command = [sys.executable, *_ASK, requirements]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - of ours
    try:
        packages: list[dict[str, Any]] = json.loads(ran.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        why = (ran.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        return _unknown(f"pip-audit could not ask: {why}")
    for package in packages:
        for each in package.get("vulns", ()):
            fixed = ", ".join(each["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {each['id']}: fixed in {fixed}")  # noqa: T201 - a command
    if any(package.get("vulns") for package in packages):
        return FOUND
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown or not packages:
        return _unknown(f"the advisory service told nothing of {len(unknown)} of {len(packages)} packages")
    print(f"{requirements}: no known vulnerability in {len(packages)} packages")  # noqa: T201
    return 0


def _unknown(why: str) -> int:
    what = "not audited: run it where the public package index can be reached, as in CI"
    print(f"{why}: {what}", file=sys.stderr)  # noqa: T201
    return UNKNOWN


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
