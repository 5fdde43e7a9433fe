"""The direction of imports between the packages, read from the source."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT: dict[str, set[str]] = {
    "contracts": set(),
    "connections": {"contracts"},
    "sources": {"contracts"},
    "archive": {"contracts", "connections", "sources"},
    "models": {"contracts"},
    "stream": {"contracts", "connections", "models"},
    "producers": {"contracts", "connections", "sources"},
    "readers": {"contracts", "connections", "models"},
    "delivery": {"contracts", "connections", "models", "readers"},
    "publishing": {"contracts", "connections", "models", "readers", "stream"},
    "api": {"contracts", "connections", "models", "readers", "delivery"},
    "ops": {
        "contracts",
        "connections",
        "sources",
        "archive",
        "models",
        "stream",
        "producers",
        "readers",
        "delivery",
        "publishing",
        "api",
    },
}


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Dotted name and line of every absolute import, those inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module), node.lineno


def relative(tree: ast.AST) -> Iterator[int]:
    """Lines of relative imports."""
    return (node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level)


def cimported(source: str) -> Iterator[tuple[str, int]]:
    """Dotted name and line of every import of a Cython source, which is not Python's syntax."""
    for number, line in enumerate(source.splitlines(), 1):
        found = re.match(r"\s*(?:from|c?import) +([\w.]+)", line)
        if found:
            yield found[1], number


def trees(package: str) -> Iterator[tuple[Path, ast.AST]]:
    """Path from the root and syntax tree of every module of a package."""
    for path in sorted((ROOT / package).rglob("*.py")):
        yield path.relative_to(ROOT), ast.parse(path.read_text())


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_one_way(package: str) -> None:
    forbidden = MAY_IMPORT.keys() - MAY_IMPORT[package] - {package}
    found = [
        f"{path}:{line} imports {name}"
        for path, tree in trees(package)
        for name, line in imported(tree)
        if name.partition(".")[0] in forbidden
    ]
    assert not found


def test_compiled_steps_import_one_way() -> None:
    outside = {"cpython", "libc", "cython", "typing", "msgpack", "msgspec", "numpy", "orjson"}
    allowed = outside | {"contracts", "models", "stream"}
    sources = [path for kind in ("*.pyx", "*.pxd") for path in (ROOT / "stream").rglob(kind)]
    assert sources
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources
        for name, line in cimported(path.read_text())
        if name.partition(".")[0] not in allowed
    ]
    assert not found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_imports_are_absolute(package: str) -> None:
    found = [f"{path}:{line}" for path, tree in trees(package) for line in relative(tree)]
    assert not found


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_exist_and_are_read(package: str) -> None:
    assert list(trees(package))


@pytest.mark.parametrize("package", ["sources", "models"])
def test_sources_and_models_know_no_kafka_redis_or_http(package: str) -> None:
    services = {"kafka", "aiokafka", "faust", "confluent_kafka", "redis", "fastapi", "uvicorn", "httpx"}
    found = [
        f"{path}:{line} imports {name}"
        for path, tree in trees(package)
        for name, line in imported(tree)
        if name.partition(".")[0] in services
    ]
    assert not found


OWN_SERVERS = {"ops/stack/broker.py", "ops/stack/embedded_broker.py"}
"""Ask the server they started, before there are settings."""
SETTINGS = {"contracts/connection_settings.py"}


@pytest.mark.parametrize("package", sorted(MAY_IMPORT.keys() - {"connections"}))
def test_clients_are_made_from_settings_in_one_place(package: str) -> None:
    words = re.compile(r"\bfrom_url\b|\.redis_password\b|\bbootstrap_servers\b|bootstrap\.servers|kafka://")
    found = [
        f"{path}:{number} has {match[0]}"
        for path, _ in trees(package)
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if str(path) not in OWN_SERVERS | SETTINGS and (match := words.search(line))
    ]
    assert not found


def test_a_forbidden_import_inside_a_function_is_found() -> None:
    tree = ast.parse(
        "def f():\n    from stream.worker import run\n    import api.app as a\n    from . import x\n"
    )
    assert list(imported(tree)) == [("stream.worker", 2), ("api.app", 3)]
    assert list(relative(tree)) == [4]
