"""How often aiokafka's fetcher asks the broker: in live traffic a pause apart, in a backlog at once."""

import time
from typing import Any

FETCH_GAP_S = 0.02
"""Fetches begin this far apart in live traffic: what one costs is mostly per partition, not per record."""


class FetchPace:
    """Holds back the fetches of one fetcher.

    aiokafka fetches again as soon as its records are taken, and the broker answers with the first that comes:
    without a pause each answer has one record, and with one after each answer a record waits in the log for
    the next fetch and then in that fetch's answer for the end of the pause. So the pause is before the fetch.
    """

    def __init__(self) -> None:
        self.is_behind = True
        """Whether the last fetch brought as much as can be carried at once."""
        self._next_s = 0.0
        """When to fetch next, at the earliest (monotonic clock)."""

    def hold_back(self, fetcher: Any) -> None:
        """Plan the fetches of this fetcher from now on."""
        plan = fetcher._get_actions_per_node

        def plan_in_time(assignment: Any) -> Any:
            wait_s = self._next_s - time.monotonic()
            if wait_s > 0 and not self.is_behind:
                return [], {}, wait_s, False, []
            actions = plan(assignment)
            if actions[0]:
                self._next_s = time.monotonic() + FETCH_GAP_S
            return actions

        fetcher._get_actions_per_node = plan_in_time
