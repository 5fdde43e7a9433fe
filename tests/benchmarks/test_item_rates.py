"""The comparison of live rates of items with those of training finds what differs, and nothing else."""

import pytest

from benchmarks.item_rates import compare_rates, time_rates
from contracts.settings import Settings
from cores import core_named
from models.next_action.predictor import load_shipped
from models.next_action.rates import RATE_FEATURES
from small_training import small_events
from stream.batch.core import PYTHON

pytestmark = pytest.mark.slow

SETTINGS = Settings(partitions=3)


def test_a_worker_that_knows_all_partitions_is_where_training_was() -> None:
    events = small_events()[:1_500]
    row = compare_rates(events, None, SETTINGS, PYTHON, batch_ms=1, late_ms=0)
    assert row.n > 1_000
    assert row.same > 0.99
    assert tuple(row.differences) == tuple(row.spreads) == RATE_FEATURES
    assert max(row.differences.values()) < 0.001
    assert (row.tested, row.losses) == (0, {})


def test_what_is_known_late_makes_a_difference_that_the_losses_can_tell() -> None:
    events, core = small_events(), core_named("compiled")
    row = compare_rates(events, load_shipped(), SETTINGS, core, batch_ms=1_000, late_ms=3_600_000)
    assert row.same < 0.9
    assert row.tested > 50
    assert row.losses["live"] == row.losses["as in training"], "the shipped model reads no rates"


def test_what_rates_cost_is_told_of_every_implementation() -> None:
    us = time_rates(small_events()[:200], SETTINGS, (PYTHON, core_named("compiled")))
    assert us.keys() == {"python", "compiled"}
