from models.recommendation.recent_sessions import RecentSessions

BUILT_FROM: str

class CompiledSessions(RecentSessions):  # type: ignore[misc]  # all of it is there
    def __init__(self, max_sessions: int, sessions_per_item: int) -> None: ...
