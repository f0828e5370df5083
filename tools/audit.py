"""Whether a published vulnerability is known in the pinned versions: it warns, it never fails.

python tools/audit.py constraints.txt
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

LIMIT = 50.0
"""Seconds for all; `make check` is not to wait longer for a service that is away."""


def audit(requirements: Path, limit: float = LIMIT) -> str:
    """What pip-audit says of exact versions, or in one line why it says nothing."""
    tool = Path(sys.executable).with_name("pip-audit")
    exact = ["--requirement", str(requirements), "--no-deps", "--disable-pip"]
    quiet = ["--format", "json", "--progress-spinner", "off", "--timeout", "5"]
    try:
        done = subprocess.run([tool, *exact, *quiet], capture_output=True, text=True, timeout=limit)
    except OSError as error:
        return f"audit: left out, pip-audit cannot be run here ({error.strerror})"
    except subprocess.TimeoutExpired:
        return f"audit: left out, no answer within {limit:.0f} s"
    try:
        report = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        said = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
        return f"audit: left out, pip-audit could not ask ({textwrap.shorten(said[-1], 120)})"
    return summary(report)


def summary(report: list[dict[str, Any]]) -> str:
    """One line a known vulnerability, and what was not looked at."""
    known = [one for one in report if "vulns" in one]
    if not known:
        return f"audit: left out, nothing is known there of any of {len(report)} packages"
    found = [(one, each) for one in known for each in one["vulns"]]
    lines = [
        f"audit: warning: {one['name']} {one['version']}: {each['id']}, "
        f"mended in {', '.join(each['fix_versions']) or 'no version yet'}"
        for one, each in found
    ]
    unknown = f", {len(report) - len(known)} unknown there" if len(known) < len(report) else ""
    lines.append(f"audit: {len(found)} known vulnerabilities in {len(known)} packages{unknown}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(audit(Path(sys.argv[1])))
