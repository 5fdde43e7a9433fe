"""The example extension, importable by name, and unknown again to this process after each test."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from registrations import own_registrations

FOLDER = Path(__file__).parent
"""What must be on the path for `import restock`."""


@pytest.fixture
def restock(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of the extension, for `Settings.extensions`."""
    monkeypatch.syspath_prepend(FOLDER)
    with own_registrations():
        yield "restock"
    for name in [name for name in sys.modules if name.partition(".")[0] == "restock"]:
        del sys.modules[name]
