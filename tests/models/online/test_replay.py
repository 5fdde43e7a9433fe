"""A replay in order of time: what is not known yet changes nothing, borders of the data make no answers."""

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from contracts.events import Event
from models.next_action.cases import HOLE_MS, PrefixSet
from models.next_action.predictor import load_shipped
from models.next_action.prefixes import prefixes_of
from models.online.records import read_records
from models.online.replay import History, history_of, replay
from ops.learning.online_report import lines_of
from ops.learning.predictions import say_model
from producers.simulator.simulation import SimulationConfig, simulate

IDLE_MS = 30 * 60_000
FROM_MS = 1_759_276_800_000


@pytest.fixture(scope="module")
def events() -> list[Event]:
    return list(islice(simulate(SimulationConfig(FROM_MS, rate=0.5, visitors=400), seed=3), 6_000))


def history(cases: PrefixSet) -> History:
    return history_of(cases, *say_model(load_shipped(), cases))


@pytest.mark.slow
def test_no_answer_of_the_future_is_used(events: list[Event]) -> None:
    whole = history(prefixes_of(events, idle_ms=IDLE_MS))
    from_ms = int(whole.at_ms[len(whole.at_ms) // 2])
    rng = np.random.default_rng(5)
    is_later = whole.learnt_ms > from_ms
    noise = whole._replace(answers=type(whole.answers)(
        np.where(is_later, rng.integers(0, 5, len(is_later)), whole.answers.targets),
        np.where(is_later, rng.integers(0, 2, len(is_later)), whole.answers.buys),
    ))  # fmt: skip
    before = whole.at_ms <= from_ms
    found, expected = replay(noise), replay(whole)
    np.testing.assert_array_equal(found.published[before], expected.published[before])
    np.testing.assert_array_equal(found.members[:, before], expected.members[:, before])
    assert not np.array_equal(found.published[~before], expected.published[~before])


@pytest.mark.slow
def test_what_comes_later_changes_no_record_of_what_was(events: list[Event]) -> None:
    until_ms = events[3_000].event_time_ms
    known = [event for event in events if event.event_time_ms <= until_ms]
    whole, part = (history(prefixes_of(some, idle_ms=IDLE_MS)) for some in (events, known))
    earlier = whole.at_ms <= until_ms
    assert read_records(whole.records[earlier].tobytes())["chain"].tolist() == part.records["chain"].tolist()
    np.testing.assert_array_equal(whole.records["aggregates"][earlier], part.records["aggregates"])


def test_an_answer_that_the_data_end_before_is_known_of_no_kind(events: list[Event]) -> None:
    cases = prefixes_of(events, idle_ms=IDLE_MS)
    found = history(cases)
    end_ms = int(cases.at_ms.max())
    np.testing.assert_array_equal(found.next_known, found.at_ms + IDLE_MS < end_ms)
    hidden = found.answers.targets[~found.next_known]
    assert len(set(hidden.tolist())) > 2, "not only those who left"
    assert (found.learnt_ms[found.purchase_known] < end_ms).all()


def test_a_hole_in_the_data_is_a_border_too(events: list[Event]) -> None:
    middle_ms = events[len(events) // 2].event_time_ms
    moved = [
        event._replace(event_time_ms=event.event_time_ms + 2 * HOLE_MS)
        if event.event_time_ms > middle_ms
        else event
        for event in events
    ]
    found = history(prefixes_of(moved, idle_ms=IDLE_MS))
    near = (found.at_ms >= middle_ms - IDLE_MS) & (found.at_ms <= middle_ms)
    assert near.any()
    assert not found.next_known[near].any()


DATA = os.environ.get("STOREPULSE_DATA", "")


@pytest.mark.slow
@pytest.mark.skipif(not DATA, reason="STOREPULSE_DATA does not name the folder of public data sets")
def test_the_shipped_model_is_of_use_in_a_shop_that_it_never_saw() -> None:
    from rich.progress import Progress

    from ops.learning.shop_events import read_events

    path = Path(DATA) / "retailrocket_8d" / "events_train.parquet"
    with Progress(disable=True) as progress:
        cases = prefixes_of(read_events(path, progress, currency="EUR"), idle_ms=IDLE_MS)
    lines = {line.name: line for line in lines_of(replay(history(cases)))}
    mine, model, constant = (lines[name] for name in ("published", "model", "constant, of the whole file"))
    assert mine.log_loss <= 0.66
    assert mine.settled_ece is not None
    assert mine.settled_ece <= 0.03
    for other in (model, constant):
        assert all(own < theirs for own, theirs in zip(mine.days, other.days, strict=True))  # type: ignore[operator]
        assert all(own < theirs for own, theirs in zip(mine.hours[1:], other.hours[1:], strict=True))  # type: ignore[operator]
