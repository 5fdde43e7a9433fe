"""Loading the compiled modules, only if each of them was built from what is here now."""

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from stream.compiled.layout import MODULES, digests, is_built_from, layout_of_classes

PACKAGE = "stream.compiled"
INSTALL = "run `make compile` in a checkout, or install Storepulse again"
"""What to run, by whom the steps are wanted."""


class CompiledStepsError(Exception):
    """The compiled steps cannot be taken; the message says why."""


class NotBuiltError(CompiledStepsError):
    """None of them is there, for want of a C compiler."""


class StaleError(CompiledStepsError):
    """Some are missing, or were built from other sources than those here."""


def import_compiled() -> Mapping[str, ModuleType]:
    """Name to module of all compiled modules.

    Raises `NotBuiltError` or `StaleError`. Nothing of a module is executed before all of them were checked.
    """
    paths = {name: _path_of(name) for name in MODULES}
    missing = [name for name, path in paths.items() if path is None]
    if len(missing) == len(MODULES):
        raise NotBuiltError("the compiled steps were not built")
    expected = digests(layout_of_classes())
    stale = [name for name, path in paths.items() if path and not is_built_from(path, expected[name])]
    if missing or stale:
        parts = [f"missing: {', '.join(missing)}"] if missing else []
        parts += [f"built from other sources: {', '.join(stale)}"] if stale else []
        raise StaleError(f"the compiled steps do not fit ({'; '.join(parts)})")
    try:
        return {name: import_module(f"{PACKAGE}.{name}") for name in MODULES}
    except ImportError as exc:
        raise StaleError(f"the compiled steps cannot be loaded ({exc})") from exc


def _path_of(name: str) -> Path | None:
    spec = find_spec(f"{PACKAGE}.{name}")
    return Path(spec.origin) if spec is not None and spec.origin is not None else None
