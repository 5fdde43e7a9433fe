"""Memory and commits are bounded by the bytes of records, not by their number alone."""

from typing import NamedTuple

import pytest

from stream.partitions.load import Load, size_of


class Valued(NamedTuple):
    value: bytes | None


def test_the_size_of_few_records_is_exact_and_of_many_about_right() -> None:
    assert size_of([Valued(b"x" * 5), Valued(None), Valued(b"")]) == 5
    assert size_of([]) == 0
    assert size_of([Valued(b"x" * 1_000)] * 800) == 800_000


@pytest.mark.parametrize(
    ("limit", "budget", "fitting"),
    [(100, 1_000, 30), (5, 1_000, 5), (100, 100, 10), (100, 150, 12), (100, 1, 1), (100, 110, 10)],
)
def test_as_many_of_the_oldest_are_taken_as_fit(limit: int, budget: int, fitting: int) -> None:
    load = Load()
    for number, size in ((10, 100), (20, 400), (0, 0), (1, 10_000)):
        load.add(number, size)
    assert load.fitting(limit, budget) == fitting


def test_what_is_taken_is_not_held_any_more() -> None:
    load = Load()
    load.add(10, 100)
    load.add(10, 1_000)
    assert load.drop(15) == 600
    assert load.fitting(100, 400) == 4
    assert load.drop(100) == 500
    assert load.fitting(100, 1) == 100
