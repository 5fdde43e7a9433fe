"""How to get the packages that only training and evaluation need."""

import shlex
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def install_command(extra: str) -> str:
    """A command that installs the extra here: from the clone that this is, or else from the index."""
    python = shlex.quote(sys.executable)
    if not (_ROOT / "pyproject.toml").is_file():
        return f"{python} -m pip install 'storepulse[{extra}]'"
    constraints = shlex.quote(str(_ROOT / "constraints.txt"))
    return f"{python} -m pip install -c {constraints} -e {shlex.quote(f'{_ROOT}[{extra}]')}"
