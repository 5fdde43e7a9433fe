"""Which implementation of recent sessions is taken."""

import logging
from collections.abc import Callable
from functools import cache

from models.recommendation.compiled import digest_of_source
from models.recommendation.python_sessions import PythonSessions
from models.recommendation.recent_sessions import RecentSessions

MakeIndex = Callable[[int, int], RecentSessions]
"""Makes an index of so many sessions, and so many of each product."""

log = logging.getLogger(__name__)

MAX_SESSIONS = 1_000_000
SESSIONS_PER_ITEM = 500


def make_index(
    max_sessions: int = MAX_SESSIONS, sessions_per_item: int = SESSIONS_PER_ITEM, *, compiled: bool = True
) -> RecentSessions:
    """An index without sessions; raises `ValueError` for limits below 1."""
    made = load_compiled() if compiled else None
    return (made or PythonSessions)(max_sessions, sessions_per_item)


@cache
def load_compiled() -> MakeIndex | None:
    """The compiled implementation; None where it was not built from the source that is here."""
    try:
        from models.recommendation.compiled.sessions import BUILT_FROM, CompiledSessions
    except ImportError:
        log.info("recent sessions are kept in Python: they were not compiled")
        return None
    if digest_of_source() != BUILT_FROM:
        log.warning("recent sessions are kept in Python: they were compiled from another source")
        return None
    return CompiledSessions
