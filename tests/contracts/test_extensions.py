"""Extensions are loaded part by part, and what is wrong with one is said by name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.extensions import InvalidExtension, load_contracts, load_part
from contracts.settings import Settings


@pytest.fixture
def extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of an importable package that nobody has loaded yet."""
    folder = tmp_path / f"extension_{tmp_path.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith(folder.name)]:
        del sys.modules[name]


def test_only_the_parts_asked_for_are_imported(extension: Path) -> None:
    (extension / "contracts.py").write_text("CALLS = []\ndef register():\n    CALLS.append(1)\n")
    (extension / "stream.py").write_text("def register(registry):\n    registry.append('stream')\n")
    (extension / "api.py").write_text("raise RuntimeError('not wanted here')\n")
    settings = Settings(extensions=extension.name)
    registry: list[str] = []
    for module in load_part(settings, "stream"):
        module.register(registry)
    load_contracts(settings)
    assert registry == ["stream"]
    assert sys.modules[f"{extension.name}.contracts"].CALLS == [1], (
        "what all processes know is registered once"
    )


def test_a_part_that_an_extension_lacks_is_left_out(extension: Path) -> None:
    assert load_part(Settings(extensions=extension.name), "api") == []


def test_an_unknown_extension_is_named() -> None:
    with pytest.raises(InvalidExtension, match="'no_such_package', which cannot be imported"):
        load_part(Settings(extensions="no_such_package"), "stream")


def test_a_part_without_register_is_named(extension: Path) -> None:
    (extension / "stream.py").touch()
    with pytest.raises(
        InvalidExtension, match=rf"{extension.name}\.stream must have a function named register"
    ):
        load_part(Settings(extensions=extension.name), "stream")


def test_each_module_of_a_part_that_is_a_package_registers(extension: Path) -> None:
    part = extension / "stream"
    part.mkdir()
    (part / "__init__.py").touch()
    for name in ("shelves", "brands"):
        (part / f"{name}.py").write_text(f"def register(registry):\n    registry.append({name!r})\n")
    registry: list[str] = []
    for module in load_part(Settings(extensions=extension.name), "stream"):
        module.register(registry)
    assert registry == ["brands", "shelves"]


def test_a_module_of_a_package_without_register_is_named(extension: Path) -> None:
    part = extension / "stream"
    part.mkdir()
    (part / "__init__.py").touch()
    (part / "shelves.py").touch()
    with pytest.raises(InvalidExtension, match=rf"{extension.name}\.stream\.shelves must have a function"):
        load_part(Settings(extensions=extension.name), "stream")
