"""The implementations of the hot steps, for tests that hold each of them to the same."""

from services import lack
from stream.batch.core import PYTHON, Core, load_compiled
from stream.compiled.guard import CompiledStepsError

NAMES = ("python", "compiled")


def core_named(name: str) -> Core:
    """One of `NAMES`; where the compiled steps cannot be taken the test is skipped, or fails in CI."""
    if name == PYTHON.name:
        return PYTHON
    try:
        return load_compiled()
    except CompiledStepsError as exc:
        lack(f"{exc}; a C compiler and Python.h are needed")


def exact(value: object) -> object:
    """A value in which 1, True and 1.0 differ, and a named tuple from a plain one."""
    if isinstance(value, tuple | list):
        return type(value), [exact(part) for part in value]
    if isinstance(value, dict):
        return {key: exact(part) for key, part in value.items()}
    return type(value), value
