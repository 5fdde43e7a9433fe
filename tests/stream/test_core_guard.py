"""Compiled modules that were not built from what is here now are never used."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cores import core_named
from stream.compiled.guard import INSTALL
from stream.compiled.layout import (
    MODULES,
    TUPLES,
    digests,
    is_built_from,
    layout_of_classes,
    layout_of_sources,
    remove_incomplete,
    remove_stale,
    render,
    sources_of,
)

ROOT = Path(__file__).parents[2]
CHOOSE = """
import logging
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
from stream.batch.core import choose_core
print(choose_core(compiled=True).name)
"""
SWAP = """
import contracts.{module}
from collections import namedtuple
fields = list(contracts.{module}.{name}._fields)
fields[0], fields[1] = fields[1], fields[0]
contracts.{module}.{name} = namedtuple("{name}", fields)
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout of its own, with the compiled steps of this one."""
    core_named("compiled")
    for package in ("contracts", "models", "stream"):
        ignored = shutil.ignore_patterns("__pycache__", "artefact")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    return tmp_path


def choose(folder: Path, before: str = "") -> tuple[str, list[str]]:
    """The name of the core that a process takes whose code is in this folder, and what it logs."""
    argv = [sys.executable, "-c", before + CHOOSE]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip(), done.stderr.splitlines()


def extension_of(folder: Path, module: str) -> Path:
    [path] = (folder / "stream" / "compiled").glob(f"{module}.*.so")
    return path


def build_elsewhere(*extensions: Path) -> None:
    """What a build from other sources leaves: the same modules with another digest."""
    for extension in extensions:
        content, replaced = re.subn(
            rb"(storepulse built from )[0-9a-f]{32}", rb"\g<1>" + b"0" * 32, extension.read_bytes()
        )
        assert replaced
        extension.write_bytes(content)


def swap_fields(folder: Path, path: str, one: str, other: str) -> None:
    source = folder / path
    text = source.read_text()
    assert text.count(f"    {one}\n    {other}\n") == 1
    source.write_text(text.replace(f"    {one}\n    {other}\n", f"    {other}\n    {one}\n"))


def add_field(folder: Path, path: str, behind: str, field: str) -> None:
    source = folder / path
    text = source.read_text()
    assert text.count(f"    {behind}\n") == 1
    source.write_text(text.replace(f"    {behind}\n", f"    {behind}\n    {field}\n"))


def append(folder: Path, path: str, line: str) -> None:
    with (folder / path).open("a") as file:
        file.write(f"{line}\n")


def test_modules_built_from_what_is_here_are_taken(copy: Path) -> None:
    assert choose(copy) == ("compiled", [])


SPOILED: dict[str, tuple[Callable[[Path], object], str]] = {
    "one that is missing": (lambda folder: extension_of(folder, "carts").unlink(), "missing: carts"),
    "one of another build": (
        lambda folder: build_elsewhere(extension_of(folder, "visitors")),
        "built from other sources: visitors",
    ),
    "all of another build": (
        lambda folder: build_elsewhere(*[extension_of(folder, module) for module in MODULES]),
        f"built from other sources: {', '.join(MODULES)}",
    ),
    "one that carries no digest": (
        lambda folder: extension_of(folder, "batch").write_bytes(b"\x7fELF"),
        "built from other sources: batch",
    ),
    "a source that changed": (
        lambda folder: append(folder, "stream/compiled/visitors.pyx", "# changed"),
        "built from other sources: visitors",
    ),
    "a declaration that changed": (
        lambda folder: append(folder, "stream/compiled/carts.pxd", "# changed"),
        f"built from other sources: {', '.join(MODULES)}",
    ),
    "a contract that changed": (
        lambda folder: append(folder, "contracts/numbers.py", "MAX_QUANTITY = 7"),
        f"built from other sources: {', '.join(MODULES)}",
    ),
    "a tuple in another order": (
        lambda folder: swap_fields(folder, "stream/batch/entries.py", "offset: int", "at_ms: int"),
        f"built from other sources: {', '.join(MODULES)}",
    ),
    "a tuple with one more field": (
        lambda folder: add_field(folder, "contracts/scores.py", "closed: int = 0", "more: int = 0"),
        f"built from other sources: {', '.join(MODULES)}",
    ),
}


@pytest.mark.parametrize("case", SPOILED)
def test_modules_that_do_not_fit_are_left_with_one_warning(copy: Path, case: str) -> None:
    spoil, reason = SPOILED[case]
    spoil(copy)
    name, lines = choose(copy)
    assert name == "python"
    [line] = lines
    assert line.startswith("WARNING")
    assert reason in line
    assert INSTALL in line


@pytest.mark.parametrize(
    ("module", "name"),
    [("visitor_alerts", "VisitorAlerts"), ("predictions", "Predictions"), ("scores", "Unjudged")],
)
def test_it_is_the_imported_classes_that_count(copy: Path, module: str, name: str) -> None:
    core, lines = choose(copy, before=SWAP.format(module=module, name=name))
    assert core == "python"
    assert len(lines) == 1
    assert "built from other sources" in lines[0]


def test_without_any_the_steps_in_python_are_taken_quietly(copy: Path) -> None:
    for module in MODULES:
        extension_of(copy, module).unlink()
    name, lines = choose(copy)
    assert (name, len(lines)) == ("python", 1)
    assert lines[0].startswith("INFO")
    assert "not built" in lines[0]


def test_the_next_build_removes_what_does_not_fit_however_new_it_is(copy: Path) -> None:
    build_elsewhere(extension_of(copy, "records"))
    remove_stale(layout_of_sources(copy), copy)
    left = {path.name.partition(".")[0] for path in (copy / "stream" / "compiled").glob("*.so")}
    assert left == set(MODULES) - {"records"}


def test_a_build_that_is_not_complete_leaves_none(copy: Path) -> None:
    assert not remove_incomplete(copy)
    assert choose(copy) == ("compiled", [])
    extension_of(copy, "records").unlink()
    assert remove_incomplete(copy)
    assert list((copy / "stream" / "compiled").glob("*.so")) == []


@pytest.mark.parametrize("fits", [True, False])
def test_an_installation_says_what_workers_take_and_leaves_nothing_that_does_not_fit(
    copy: Path, fits: bool
) -> None:
    if not fits:
        append(copy, "contracts/numbers.py", "MAX_QUANTITY = 7")
    argv = [sys.executable, "-m", "stream.compiled"]
    done = subprocess.run(argv, cwd=copy, capture_output=True, text=True, check=False)
    [line] = done.stdout.splitlines()
    assert done.returncode == int(not fits)
    assert ("are built from the current sources" if fits else "not built") in line
    name, lines = choose(copy)
    assert name == ("compiled" if fits else "python")
    assert not [line for line in lines if line.startswith("WARNING")]


def test_sources_and_classes_have_the_same_layout() -> None:
    assert layout_of_sources() == layout_of_classes()


def test_positions_follow_the_fields() -> None:
    text = render({"CartLine": ("added_ms", "quantity"), "EventType": ("CART", "VIEW")}, "0")
    assert "CART_LINE_ADDED_MS, CART_LINE_QUANTITY\n    CART_LINE_FIELDS" in text
    assert "RANK_CART, RANK_VIEW\n    RANKS" in text


def test_every_module_has_a_digest_of_its_own_build() -> None:
    core_named("compiled")
    expected = digests(layout_of_classes())
    assert len(set(expected.values())) == len(MODULES)
    for module, digest in expected.items():
        assert is_built_from(extension_of(ROOT, module), digest)


def test_all_modules_are_known_and_make_knows_what_they_are_built_from() -> None:
    assert {path.stem for path in (ROOT / "stream" / "compiled").glob("*.pyx")} == set(MODULES)
    makefile = (ROOT / "Makefile").read_text()
    defined = {ROOT.joinpath(*module.split(".")).with_suffix(".py") for module in TUPLES}
    for path in defined.union(*[sources_of(module) for module in MODULES]):
        is_globbed = path.parent.name == "compiled" and path.suffix in (".pyx", ".pxd", ".h")
        pattern = f"stream/compiled/*{path.suffix}" if is_globbed else path.name
        assert re.search(rf"(?<!\w){re.escape(pattern)}(?!\w)", makefile), path
