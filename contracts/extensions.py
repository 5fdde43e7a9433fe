"""Extensions: packages from outside the product that register capabilities of their own.

An extension is an importable package named in `Settings.extensions`. It has a module for each part of the
product that it adds to, each with a function `register`:

    contracts   `register()`: kinds of alerts, families of keys and input topics, which all processes know
    stream      `register(registry)`: components, visitor fields, alert rules, timers, model slots and jobs
    api         `register(registry)`: resources
    learn       `register(registry)`: what trains models

A part may be a package instead: then each module in it registers what it has, so that one more capability is
one more file or folder. A process imports only the modules of the parts it runs, so an API does not load what
only a worker needs.
"""

import importlib
from importlib.util import find_spec
from pkgutil import iter_modules
from types import ModuleType
from typing import Literal

from contracts.settings import Settings

Part = Literal["contracts", "stream", "api", "learn"]

_known: set[str] = set()
"""Extensions whose kinds, keys and topics this process knows already."""


class InvalidExtension(ValueError):
    """An extension that cannot be imported, or one without `register` where it should have it."""


def load_contracts(settings: Settings) -> None:
    """Register what every process must know of the extensions, once; raises `InvalidExtension`."""
    for name in settings.extension_names:
        if name not in _known:
            for module in _modules(name, "contracts"):
                module.register()
            _known.add(name)


def load_part(settings: Settings, part: Part) -> list[ModuleType]:
    """The extensions' modules of one part, to be given its registry; raises `InvalidExtension`."""
    load_contracts(settings)
    return [module for name in settings.extension_names for module in _modules(name, part)]


def _modules(name: str, part: Part) -> list[ModuleType]:
    """The modules of one part of an extension, in the order of their names; none if it lacks the part."""
    full_name = f"{name}.{part}"
    try:
        if find_spec(full_name) is None:
            return []
        module = importlib.import_module(full_name)
        found = [
            importlib.import_module(f"{full_name}.{inner.name}")
            for inner in iter_modules(getattr(module, "__path__", ()))
        ] or [module]
    except ImportError as exc:
        raise InvalidExtension(
            f"STOREPULSE_EXTENSIONS names {name!r}, which cannot be imported: {exc}"
        ) from exc
    for module in found:
        if not callable(getattr(module, "register", None)):
            raise InvalidExtension(f"{module.__name__} must have a function named register")
    return found
