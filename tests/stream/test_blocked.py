"""Partitions that stand still: when each is tried again."""

from stream.partitions.blocked import MOST_WAIT_S, BlockedPartitions
from stream.runtime.metrics import Meter


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_what_disturbs_others_is_tried_more_and_more_rarely_until_it_goes_on() -> None:
    clock = Clock()
    blocked = BlockedPartitions(Meter(), clock)
    waited = []
    for _ in range(9):
        blocked.add(3, "a later version wrote it", backs_off=True)
        began_s = clock.now_s
        while not blocked.due():
            clock.now_s += 0.5
        waited.append(clock.now_s - began_s)
    assert waited == [1, 2, 4, 8, 16, 32, MOST_WAIT_S, MOST_WAIT_S, MOST_WAIT_S]
    [line] = blocked.describe()
    assert line == "partition 3 is blocked: a later version wrote it; it is tried again at most 60 s later"
    blocked.remove(3)
    blocked.add(3, "again", backs_off=True)
    clock.now_s += 1
    assert blocked.due() == [3]


def test_what_disturbs_nobody_is_tried_again_at_once() -> None:
    blocked = BlockedPartitions(Meter(), Clock())
    for _ in range(5):
        blocked.add(1, "its key holds a string")
        assert blocked.due() == [1]
