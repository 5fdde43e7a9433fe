"""Which partition the watchdog calls stalled."""

from commits import NOTHING_FOUND
from shoppers import SETTINGS
from stream.partitions.partition import Partition
from stream.partitions.watchdog import find_stalled
from stream.registry import make_registry
from stream.state.commit import Claim


def make_partition(number: int, *, lag: int, progress_s: float) -> Partition:
    part = Partition(
        number, ("view",), Claim(1, {"view": 10}, found=NOTHING_FOUND),
        registry=make_registry(SETTINGS), place=number, now_s=progress_s,
    )  # fmt: skip
    part.high["view"] = 10 + lag
    return part


def test_lag_without_progress_for_too_long_is_a_stall() -> None:
    parts = [make_partition(0, lag=0, progress_s=0), make_partition(1, lag=3, progress_s=10)]
    stalled = find_stalled(parts, now_s=40.5, stall_s=30)
    assert stalled is parts[1]


def test_neither_lag_with_progress_nor_rest_without_lag_is_one() -> None:
    parts = [make_partition(0, lag=0, progress_s=0), make_partition(1, lag=3, progress_s=11)]
    assert find_stalled(parts, now_s=40.5, stall_s=30) is None
