"""The file `.env`: settings for every command started beside it, as Compose reads them for its containers."""

import os
from pathlib import Path

from dotenv import dotenv_values

from contracts.connection_settings import ENV_PREFIX
from contracts.settings import SECRETS, Settings

ENV_FILE = Path(".env")
_from_file: set[str] = set()


def load_env_file(path: Path = ENV_FILE) -> list[str]:
    """Put the `STOREPULSE_*` variables of the file, if there is one, into our environment, whose own win.

    Returns what is wrong with lines that are passed over: names of no setting, or without a value.
    Raises `OSError`, or `ValueError` for what is no text, if it cannot be read.
    """
    if not path.is_file():
        return []
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields}
    known |= {f"{ENV_PREFIX}{name.upper()}_FILE" for name in SECRETS}
    flaws = []
    for name, value in dotenv_values(path, encoding="utf-8-sig").items():
        if not name.upper().startswith(ENV_PREFIX):
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


def is_from_file(name: str) -> bool:
    """Whether this variable has its value from the file, not from who started us."""
    return name in _from_file
