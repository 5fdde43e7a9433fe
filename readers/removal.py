"""Removing a deleted visitor's traces outside the state of their partition."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from readers.reader import Reader


class Trace(NamedTuple):
    """Whose traces: `cut_ms` is up to when they are removed if the visitor has `returned` since."""

    user_id: str
    digest: str
    partition: int
    cut_ms: int
    returned: bool


Scrubber = Callable[[Reader, Trace], Awaitable[dict[str, int]]]
"""Removes what it finds, may be run again, and says how much it removed, by kind."""
