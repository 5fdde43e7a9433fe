"""Drift is noticed where the mean changes, and not where it does not."""

import random

import pytest

from models.drift import Drift, DriftState, drift_from_text

NOW_MS = 1_760_000_000_000


def test_a_changed_mean_is_drift_and_its_time_is_kept() -> None:
    chance = random.Random(7)
    drift = Drift("error")
    assert not drift.learn([chance.uniform(0.1, 0.3) for _ in range(2_000)], at_ms=NOW_MS)
    assert drift.learn([chance.uniform(0.5, 0.9) for _ in range(2_000)], at_ms=NOW_MS + 1)
    state = drift.state
    assert (state.name, state.drifted_ms) == ("error", NOW_MS + 1)
    assert state.drifts >= 1
    assert state.mean == pytest.approx(0.7, abs=0.02)


def test_a_stream_that_stays_as_it_is_has_no_drift() -> None:
    chance = random.Random(7)
    drift = Drift("purchase")
    assert not drift.learn([chance.random() for _ in range(10_000)], at_ms=NOW_MS)
    assert drift.state.drifts == drift.state.drifted_ms == 0
    assert drift.state.width == 10_000


def test_a_state_survives_the_heartbeat() -> None:
    state = DriftState("error", 0.123456, 5_000, 2, NOW_MS)
    assert drift_from_text(state.to_text()) == state
    with pytest.raises(ValueError, match="5 parts, got 1"):
        drift_from_text("error")
