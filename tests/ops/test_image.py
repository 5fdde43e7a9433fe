"""What the image contains by default: enough for its commands, and no more. No engine is asked."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MAX_BYTES = 240_000_000
"""Of libraries, with their symbols; with our code, Python and Debian's slim base they make 350 MB at most."""


def words_after(command: str) -> set[str]:
    """The arguments of a command that the Dockerfile runs unless the extra `train` is built in."""
    (line,) = (line for line in DOCKERFILE.splitlines() if "*,train,*) ;;" in line)
    found = re.search(rf"{command} ([^;&]+)", line)
    assert found
    return set(found[1].split())


def installed() -> dict[str, Distribution]:
    """The distributions in the image by name: what ours require, less what the Dockerfile uninstalls."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement(text) for text in PROJECT["dependencies"]]
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        found[name] = distribution(name)
        for text in found[name].requires or ():
            needed = Requirement(text)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    removed = words_after("pip uninstall -y")
    assert removed <= found.keys(), "something else is uninstalled than what comes with the dependencies"
    return {name: each for name, each in found.items() if name not in removed}


def test_the_libraries_of_the_image_are_small() -> None:
    left_out = words_after("rm -r")
    sizes = {}
    for name, each in installed().items():
        kept = [
            file.locate()
            for file in each.files or ()
            if "tests" not in file.parts and not any(str(file).startswith(f"{path}/") for path in left_out)
        ]
        sizes[name] = sum(Path(path).stat().st_size for path in kept if Path(path).exists())
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:8]
    assert sum(sizes.values()) < MAX_BYTES, largest


@pytest.mark.parametrize("heavy", ["torch", "scipy", "polars", "pandas", "scikit-learn", "confluent-kafka"])
def test_the_image_lacks_what_only_extras_need(heavy: str) -> None:
    assert heavy not in installed()


def test_what_the_image_loses_of_libraries_is_there_to_lose() -> None:
    """`rm -r` fails a build on a name that a later version no longer has."""
    site = Path(str(distribution("onnxruntime").locate_file("")))
    assert all((site / path).is_dir() for path in words_after("rm -r"))


def imports_of_commands() -> Iterator[tuple[str, str]]:
    """Name and imported modules of every command that asks for no extra first."""
    for path in sorted((ROOT / "ops" / "cli").glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef):
                continue
            asks = any(
                isinstance(line, ast.Expr)
                and isinstance(line.value, ast.Call)
                and ast.unparse(line.value.func) == "require_extras"
                for line in function.body
            )
            modules = [str(node.module) for node in ast.walk(function) if isinstance(node, ast.ImportFrom)]
            if modules and not asks:
                yield f"{path.stem}.{function.name}", " ".join(modules)


WITHOUT_EXTRAS = """
import importlib, json, sys
from importlib.abc import MetaPathFinder

class Absent(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

absent, commands = map(json.loads, sys.argv[1:])
sys.meta_path.insert(0, Absent())
failed = {}
for command, modules in commands.items():
    try:
        for module in modules.split():
            importlib.import_module(module)
    except ModuleNotFoundError as exc:
        failed[command] = str(exc)
print(json.dumps(failed))
"""


def test_commands_that_ask_for_no_extra_need_none() -> None:
    present = installed().keys() | {canonicalize_name(PROJECT["name"])}
    absent = [
        module
        for module, distributions in packages_distributions().items()
        if present.isdisjoint(map(canonicalize_name, distributions))
    ]
    assert {"polars", "scipy", "torch"} & set(absent) >= {"polars", "scipy"}
    commands = dict(imports_of_commands())
    assert len(commands) > 20
    argv = [sys.executable, "-c", WITHOUT_EXTRAS, json.dumps(absent), json.dumps(commands)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {}
