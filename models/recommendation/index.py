"""Which implementation of recent sessions is taken."""

from models.recommendation.python_sessions import PythonSessions
from models.recommendation.recent_sessions import RecentSessions

MAX_SESSIONS = 1_000_000
SESSIONS_PER_ITEM = 500


def make_index(
    max_sessions: int = MAX_SESSIONS, sessions_per_item: int = SESSIONS_PER_ITEM
) -> RecentSessions:
    """An index without sessions; raises `ValueError` for limits below 1."""
    return PythonSessions(max_sessions, sessions_per_item)
