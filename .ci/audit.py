"""Runs pip-audit and detect-secrets; the exit code is 1 for findings, 0 where one cannot look."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SERVICES = ("pypi", "osv")
"""Where advisories come from; the second is asked if the first knows nothing of our packages."""
TIMEOUT_S = 300
OWN_KEY = re.compile(r"\b[pasw]k_live_[a-z0-9]{12}_[0-9A-Za-z]{43}\b")
ALLOWED = "pragma: allowlist secret"
"""Marks a line whose secret opens nothing, for detect-secrets as for us."""
NOISY = ("Base64HighEntropyString", "HexHighEntropyString", "KeywordDetector")
"""Take ids and digests of examples and tests for secrets."""


def main() -> int:
    """The exit code."""
    # Both are run whatever the first one says.
    found = [_audit_packages(), _scan_files()]
    return int(any(found))


def _audit_packages() -> bool:
    """Whether a pinned package has a known vulnerability."""
    for service in SERVICES:
        packages = _ask(service)
        looked_at = [package for package in packages if "skip_reason" not in package]
        if looked_at:
            break
    else:
        _say("skipped: pip-audit: no service with advisories can be reached")
        return False
    bad = [package for package in looked_at if package["vulns"]]
    for package in bad:
        ids = ", ".join(vuln["id"] for vuln in package["vulns"])
        _say(f"vulnerable: {package['name']} {package['version']}: {ids}")
    if len(looked_at) < len(packages):
        _say(f"skipped: pip-audit: nothing is known of {len(packages) - len(looked_at)} packages")
    _say(f"pip-audit: {len(bad)} of {len(looked_at)} packages are vulnerable")
    return bool(bad)


def _ask(service: str) -> list[dict[str, Any]]:
    """What pip-audit says of each package; nothing if it cannot ask."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json", "-o", str(report)]
        command = ["pip_audit", "-r", "constraints.txt", "-s", service, *options]
        try:
            _run(command)
        except subprocess.TimeoutExpired:
            return []
        if not report.exists():
            return []
        packages: list[dict[str, Any]] = json.loads(report.read_text())["dependencies"]
        return packages


def _scan_files() -> bool:
    """Whether a tracked file holds a secret."""
    files = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=False)  # noqa: S607
    if files.returncode != 0:
        _say("skipped: detect-secrets: this is no git repository")
        return False
    names = [name for name in files.stdout.split("\0") if name and Path(name).is_file()]
    disabled = [word for plugin in NOISY for word in ("--disable-plugin", plugin)]
    result = _run(["detect_secrets", "scan", *disabled, *names])
    if result.returncode != 0:
        _say(f"detect-secrets failed: {result.stderr.strip()[-500:]}")
        return True
    results: dict[str, list[dict[str, Any]]] = json.loads(result.stdout)["results"]
    found = [f"{name}:{one['line_number']}: {one['type']}" for name, all_ in results.items() for one in all_]
    for name in names:
        lines = enumerate(Path(name).read_bytes().decode(errors="replace").splitlines(), 1)
        own = [n for n, line in lines if OWN_KEY.search(line) and ALLOWED not in line]
        found += [f"{name}:{n}: a key of ours" for n in own]
    for place in found:
        _say(f"secret: {place}")
    _say(f"detect-secrets: {len(found)} secrets in {len(names)} files")
    return bool(found)


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)  # noqa: S603


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    sys.exit(main())
