"""Drift is noticed where the mean changes, and not where it does not or where there is too little data."""

import random
import subprocess
import sys

import pytest
from river.drift import ADWIN

from models.drift import DELTA, WARM_UP_MS, Adwin, Drift, DriftState, drift_from_text

NOW_MS = 1_760_000_000_000


def warm(name: str) -> Drift:
    """A detector whose first hour is over."""
    drift = Drift(name)
    assert not drift.learn([0.9] * 100, at_ms=NOW_MS - WARM_UP_MS)
    return drift


def test_a_changed_mean_is_drift_and_its_time_is_kept() -> None:
    chance = random.Random(7)
    drift = warm("error")
    assert not drift.learn([chance.uniform(0.1, 0.3) for _ in range(2_000)], at_ms=NOW_MS)
    assert drift.learn([chance.uniform(0.5, 0.9) for _ in range(2_000)], at_ms=NOW_MS + 1)
    state = drift.state
    assert (state.name, state.drifted_ms) == ("error", NOW_MS + 1)
    assert state.drifts >= 1
    assert state.mean == pytest.approx(0.7, abs=0.02)


def test_a_stream_that_stays_as_it_is_has_no_drift() -> None:
    chance = random.Random(7)
    drift = warm("purchase")
    assert not drift.learn([chance.random() for _ in range(10_000)], at_ms=NOW_MS)
    assert drift.state.drifts == drift.state.drifted_ms == 0
    assert drift.state.width == 10_000


def test_a_slow_change_is_drift_too() -> None:
    chance = random.Random(7)
    drift = warm("score")
    values = [0.2 + 0.4 * n / 20_000 + chance.uniform(-0.1, 0.1) for n in range(20_000)]
    assert drift.learn(values, at_ms=NOW_MS)


@pytest.mark.parametrize("seed", range(5))
def test_a_shop_that_has_just_opened_raises_no_alarm(seed: int) -> None:
    chance = random.Random(seed)
    drift = Drift("error")
    for minute in range(60):  # those who leave are judged half an hour later, so the mean must change
        high = 0.3 if minute < 30 else 0.9
        assert not drift.learn([chance.uniform(0, high) for _ in range(300)], at_ms=NOW_MS + minute * 60_000)
    assert drift.state.width == 0


def test_a_few_numbers_raise_no_alarm() -> None:
    chance = random.Random(7)
    drift = warm("error")
    assert not drift.learn([chance.uniform(0.1, 0.3) for _ in range(300)], at_ms=NOW_MS)
    assert not drift.learn([chance.uniform(0.5, 0.9) for _ in range(300)], at_ms=NOW_MS + 1)


def test_a_change_of_no_account_raises_no_alarm() -> None:
    chance = random.Random(7)
    drift = warm("error")
    assert not drift.learn([chance.uniform(0.09, 0.11) for _ in range(20_000)], at_ms=NOW_MS)
    assert not drift.learn([chance.uniform(0.10, 0.12) for _ in range(20_000)], at_ms=NOW_MS + 1)


def test_a_state_survives_the_heartbeat() -> None:
    state = DriftState("error", 0.123456, 5_000, 2, NOW_MS)
    assert drift_from_text(state.to_text()) == state
    with pytest.raises(ValueError, match="5 parts, got 1"):
        drift_from_text("error")


def test_the_compiled_part_of_adwin_finds_what_rivers_own_does() -> None:
    chance = random.Random(7)
    ours, rivers = Adwin(), ADWIN(delta=DELTA)
    changes = 0
    for n in range(30_000):
        value = 0.5 * chance.random() + 0.1 * (n // 7_000)
        changed = ours.update(value)
        rivers.update(value)
        assert (changed, ours.width, ours.mean) == (rivers.drift_detected, rivers.width, rivers.estimation)
        changes += changed
    assert changes >= 4


def test_watching_imports_no_scipy() -> None:
    watched = "d = Drift('x'); d.learn([0.5], at_ms=0); d.learn([0.5], at_ms=WARM_UP_MS)"
    program = (
        f"import sys; from models.drift import *; {watched}; print(d.state.width, 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
