"""How heavy records are that were read and are not yet committed: what bounds memory and commits."""

import random
from collections import deque
from collections.abc import Sequence
from typing import Any

SAMPLED = 8
"""Of long runs every so many-th record is looked at."""


def size_of(records: Sequence[Any]) -> int:
    """About how many bytes the values of these records have; exact for a few."""
    step = SAMPLED if len(records) > 8 * SAMPLED else 1
    return step * sum([len(record.value or b"") for record in records[random.randrange(step) :: step]])


class Load:
    """About how many bytes the records of one topic of a partition have, oldest first."""

    def __init__(self) -> None:
        self._runs: deque[tuple[int, int]] = deque()

    def add(self, number: int, size: int) -> None:
        """So many records were read."""
        if number:
            self._runs.append((number, size))

    def fitting(self, limit: int, budget: int) -> int:
        """How many of the oldest records come to about `budget` bytes: 1 to `limit`."""
        fitting = 0
        for number, size in self._runs:
            if size > budget:
                return max(1, min(limit, fitting + number * budget // size))
            fitting, budget = fitting + number, budget - size
            if fitting >= limit:
                break
        return limit

    def drop(self, number: int) -> int:
        """So many of the oldest were taken; how many bytes."""
        dropped = 0
        while number and self._runs:
            had, size = self._runs.popleft()
            taken = min(number, had)
            number -= taken
            gone = size * taken // had
            dropped += gone
            if taken < had:
                self._runs.appendleft((had - taken, size - gone))
        return dropped
