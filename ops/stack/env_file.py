"""The file `.env`: settings for every command started beside it, as Compose reads them for its containers."""

import os
import re
from pathlib import Path
from typing import NamedTuple

from dotenv.parser import parse_stream
from dotenv.variables import Variable, parse_variables

from contracts.connection_settings import ENV_PREFIX
from contracts.settings import SECRETS, Settings

ENV_FILE = Path(".env")
_from_file: set[str] = set()
_LITERAL = re.compile(r"[^=]*=\s*'")
_OURS = ENV_PREFIX.rstrip("_")


def load_env_file(path: Path = ENV_FILE) -> list[str]:
    """Put the `STOREPULSE_*` variables of the file, if there is one, into our environment, whose own win.

    Returns what is wrong with lines: names of no setting, or set twice, no value, one that refers to nothing.
    Raises `OSError`, or `ValueError` for what is no text, if it cannot be read.
    """
    if not path.is_file():
        return []
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{ENV_PREFIX}{name.upper()}_FILE" for name in SECRETS}
    content = _read(path)
    flaws = content.flaws
    for name, value in content.values.items():
        if not name.upper().startswith(_OURS):
            continue
        if name not in known:
            flaws.append(f"{name} is not a setting, see .env.example")
        elif value is None:
            flaws.append(f"{name} has no value: write {name}=VALUE")
        elif "\0" in value:
            raise ValueError(f"{name} contains a NUL byte")
        elif name not in os.environ:
            os.environ[name] = value
            _from_file.add(name)
    return flaws


class _Content(NamedTuple):
    values: dict[str, str | None]
    flaws: list[str]


def _read(path: Path) -> _Content:
    """Values by name, `${NAME}` in them replaced unless they are in single quotes, as Compose does."""
    found = _Content({}, [])
    with path.open(encoding="utf-8-sig") as file:
        for line in parse_stream(file):
            text, name, value = line.original.string, line.key, line.value
            if line.error and _OURS in text.upper():
                found.flaws.append(f"line {line.original.line} is not NAME=VALUE")
            if name is None:
                continue
            if name in found.values and name.upper().startswith(_OURS):
                found.flaws.append(f"{name} is set twice, the last one counts")
            if value is not None and not _LITERAL.match(text):
                value = _resolve(name, value, found)
            found.values[name] = value
    return found


def _resolve(name: str, value: str, found: _Content) -> str:
    known = {**os.environ, **found.values}
    atoms = list(parse_variables(value))
    named = [atom.name for atom in atoms if isinstance(atom, Variable) and atom.default is None]
    if name.upper().startswith(_OURS):
        found.flaws.extend(
            f"{name} refers to {other}, which is not set; put the value into single quotes if it is meant "
            "as it is"
            for other in named
            if known.get(other) is None
        )
    return "".join(atom.resolve(known) for atom in atoms)


def is_from_file(name: str) -> bool:
    """Whether this variable has its value from the file, not from who started us."""
    return name in _from_file
