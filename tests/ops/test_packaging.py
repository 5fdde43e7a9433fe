"""What is shipped around the code: settings example, Compose file, make targets, package data."""

import os
import re
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from contracts.settings import Settings
from ops.cli import app
from ops.serving import GRACE_S
from ops.serving.supervisor import SPARE_S

ROOT = Path(__file__).parents[2]
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
OURS = [name for name, service in SERVICES.items() if service["image"].startswith("storepulse:")]
ONE_SHOTS = {"topics"}


def test_env_example_names_exactly_the_settings_with_their_defaults() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = dict(re.findall(r"^(?:# )?STOREPULSE_([A-Z_]+)=(.*)$", "\n".join(lines), re.MULTILINE))
    defaults = {
        name.upper(): "" if field.default is None else str(field.default)
        for name, field in Settings.model_fields.items()
    }
    assert named == defaults


def test_env_example_is_read_back_as_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in (ROOT / ".env.example").read_text().splitlines():
        if line.startswith("STOREPULSE_"):
            name, _, value = line.partition("=")
            monkeypatch.setenv(name, value)
    assert Settings() == Settings.model_construct()


@pytest.mark.parametrize("name", sorted(SERVICES.keys() - ONE_SHOTS))
def test_every_lasting_service_has_a_health_check_a_memory_limit_and_restarts(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert service["mem_limit"]
    assert service["restart"] == "unless-stopped"


def test_compose_gives_the_api_the_time_its_end_takes() -> None:
    assert int(SERVICES["api"]["stop_grace_period"].rstrip("s")) > Settings().pre_stop_s + GRACE_S + SPARE_S


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned_to_a_version(name: str) -> None:
    assert re.search(r":\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_one_shots_are_waited_for_so_that_up_wait_does_not_fail_on_their_end() -> None:
    for name in ONE_SHOTS:
        waiting = [s for s in SERVICES.values() if name in s.get("depends_on", {})]
        assert waiting
        assert all(s["depends_on"][name]["condition"] == "service_completed_successfully" for s in waiting)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_dependencies_are_waited_for_by_their_health(name: str) -> None:
    for needed, how in SERVICES[name].get("depends_on", {}).items():
        assert needed in SERVICES
        assert how["condition"] in ("service_healthy", "service_completed_successfully")


@pytest.mark.parametrize("name", OURS)
def test_compose_commands_exist_in_the_command_line(name: str) -> None:
    service = SERVICES[name]
    commands = [service["command"]]
    if "healthcheck" in service:
        program, *arguments = service["healthcheck"]["test"][1:]
        assert program == "storepulse"
        commands.append(arguments)
    for command in commands:
        assert CliRunner().invoke(app, [*command, "--help"]).exit_code == 0


@pytest.mark.parametrize("name", OURS)
def test_compose_variables_are_settings(name: str) -> None:
    named = {variable.removeprefix("STOREPULSE_").lower() for variable in SERVICES[name]["environment"]}
    assert named <= Settings.model_fields.keys()


@pytest.mark.parametrize("name", OURS)
def test_what_compose_makes_listen_for_others_needs_the_root_key(name: str) -> None:
    environment = SERVICES[name]["environment"]
    listens_wide = environment.get("STOREPULSE_API_HOST", "127.0.0.1") != "127.0.0.1"
    assert listens_wide == environment.get("STOREPULSE_ROOT_KEY", "").startswith("${STOREPULSE_ROOT_KEY:?")


def test_compose_gives_the_root_key_to_the_api_alone() -> None:
    """`.env` reaches all of ours, so the others get an empty one, which is none."""
    keys = {name: SERVICES[name]["environment"]["STOREPULSE_ROOT_KEY"] for name in OURS}
    assert keys.pop("api")
    assert set(keys.values()) == {""}
    assert {SERVICES[name]["environment"]["STOREPULSE_API_KEY"] for name in OURS} == {""}


@pytest.mark.parametrize("name", ["root_key", "api_key"])
def test_an_empty_key_is_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"STOREPULSE_{name.upper()}", "")
    assert getattr(Settings(), name) is None


def test_compose_builds_the_image_once_and_never_pulls_it() -> None:
    builders = [name for name, service in SERVICES.items() if "build" in service]
    assert len(builders) == 1
    assert {SERVICES[name]["pull_policy"] for name in OURS} == {"never"}
    assert len({SERVICES[name]["image"] for name in OURS}) == 1
    # Whatever is started alone brings the service along that has the image built.
    assert all(builders[0] in SERVICES[name]["depends_on"] for name in OURS if name != builders[0])


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_compose_keeps_logs_small(name: str) -> None:
    assert SERVICES[name]["logging"]["options"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize(("name", "variable"), [("api", "API_HOST_PORT"), ("kafka", "KAFKA_HOST_PORT")])
def test_compose_ports_of_this_machine_can_be_chosen(name: str, variable: str) -> None:
    (published,) = SERVICES[name]["ports"]
    host, port = re.fullmatch(rf"127\.0\.0\.1:\$\{{{variable}:-(\d+)\}}:(\d+)", published).groups()  # type: ignore[union-attr]
    assert host == port
    assert f"# {variable}={host}" in (ROOT / ".env.example").read_text().splitlines()
    if name == "kafka":  # clients here are told to come back to the same port
        listeners = SERVICES[name]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        assert f"HOST://127.0.0.1:${{{variable}:-{host}}}" in listeners


def test_the_image_is_built_of_what_is_needed_only() -> None:
    """What lies in a working copy and not in the repository is of gigabytes, or secret."""
    left_out = set((ROOT / ".dockerignore").read_text().split())
    kept_here = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    covered = {name for name in kept_here if any(fnmatch(name, pattern) for pattern in left_out)}
    assert kept_here - covered == {"__pycache__", "*.so"}
    assert {"**/__pycache__", "**/*.so", ".git", "tests", "docs"} <= left_out


def test_compose_redis_refuses_when_full_and_keeps_its_writes() -> None:
    command = SERVICES["redis"]["command"]
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--appendonly") + 1] == "yes"


def test_pom_is_package_data() -> None:
    assert files("ops").joinpath("stack", "kafka", "pom.xml").is_file()


def copy_sources(folder: Path) -> None:
    """What the compiled steps are built from."""
    for package in ("contracts", "models", "stream"):
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)


@pytest.mark.parametrize(("compiler", "built"), [(os.environ.get("CC", "cc"), True), ("false", False)])
def test_an_installation_goes_on_without_a_c_compiler(tmp_path: Path, compiler: str, built: bool) -> None:
    copy_sources(tmp_path)
    argv = [sys.executable, "setup.py", "--quiet", "build_ext", "--build-lib", "lib"]
    env = os.environ | {"CC": compiler, "CFLAGS": "-O0"}  # it is built, not run
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = {path.name.partition(".")[0] for path in (tmp_path / "lib").rglob("*.so")}
    assert made == ({path.stem for path in (ROOT / "stream").rglob("*.pyx")} if built else set())


WITHOUT_CYTHON = """
import sys
sys.modules["Cython"] = None
sys.argv = ["setup.py", "--quiet", "build_ext", "--inplace"]
exec(compile(open("setup.py").read(), "setup.py", "exec"))
"""


def test_an_installation_without_cython_leaves_no_compiled_step_that_does_not_fit(tmp_path: Path) -> None:
    copy_sources(tmp_path)
    left = tmp_path / "stream" / "compiled" / f"batch{EXTENSION_SUFFIXES[0]}"
    left.write_bytes(b"built from other sources")
    done = subprocess.run(
        [sys.executable, "-c", "__file__ = 'setup.py'" + WITHOUT_CYTHON], cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the compiled steps are not built" in done.stderr
    assert "Cython is needed" in done.stderr
    assert not left.exists()


def test_constraints_are_names_and_versions_only() -> None:
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        assert re.fullmatch(r"[A-Za-z0-9_.-]+==[A-Za-z0-9_.+-]+", line)
