"""Versions of the model beside the sessions are judged by each later session once, and by no future."""

import random
from collections.abc import Sequence

import numpy as np
import pytest

from contracts.events import Event
from item_shop import PRODUCTS, STRIDE, sessions
from models.next_item.source import ALONE
from models.recommendation.evaluation.replay import actions_in_time
from models.recommendation.evaluation.versions import (
    SessionLosses,
    Span,
    find_span,
    judge_sessions,
)

START_MS = 1_760_000_000_000
IDLE_MS = 2_000
EVERY_MS = 500
PAST = sessions(300, start_ms=START_MS, every_ms=EVERY_MS)
END_MS = PAST[-1].event_time_ms
NEW = sessions(100, start_ms=END_MS + 1, every_ms=EVERY_MS, name="n", seed=4)


class Knowing:
    """Knows which product mostly comes next."""

    version = "knowing"
    ranker = None

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
        following = f"p{(int(products[-1][1:]) + STRIDE) % PRODUCTS}"
        return np.array([float(name == following) for name in candidates])


class Failing:
    version = "failing"
    ranker = None

    def scores(self, products: Sequence[str], candidates: Sequence[str]) -> np.ndarray:
        del products, candidates
        raise ArithmeticError


def judge(events: Sequence[Event], after_ms: int = END_MS) -> tuple[Span, SessionLosses]:
    actions = actions_in_time(events)
    span = find_span(actions, after_ms, idle_ms=IDLE_MS)
    return span, judge_sessions(actions, [ALONE, Knowing()], span, idle_ms=IDLE_MS)


def test_who_knows_what_comes_next_loses_least() -> None:
    span, found = judge([*PAST, *NEW])
    alone, knowing = (losses.sum() / found.answers.sum() for losses in found.models)
    assert knowing < alone - 0.2
    assert found.alone.sum() < found.popularity.sum()
    assert len(found.answers) == sum(event.event_id.endswith("-0") for event in NEW) - (
        sum(event.event_id.endswith("-0") and event.event_time_ms > span.through_ms for event in NEW)
    )


def test_stretch_by_stretch_each_session_is_judged_once() -> None:
    whole, at_once = judge([*PAST, *NEW])
    after_ms, answers, losses = END_MS, 0, 0.0
    for end in range(50, len(NEW) + 50, 50):
        span, found = judge([*PAST, *NEW[:end]], after_ms)
        assert span.after_ms == after_ms
        after_ms = span.through_ms
        answers += int(found.answers.sum())
        losses += found.models[1].sum()
    assert after_ms == whole.through_ms
    assert answers == at_once.answers.sum()
    assert losses == pytest.approx(at_once.models[1].sum())


def test_the_future_changes_nothing() -> None:
    """What comes after the last session that is judged may be anything."""
    span, found = judge([*PAST, *NEW])
    draw = random.Random(9)
    until_ms = span.through_ms + IDLE_MS
    noise = [
        event._replace(product_id=f"p{draw.randrange(PRODUCTS)}") if event.event_time_ms > until_ms else event
        for event in NEW
    ]
    assert noise != NEW
    again, other = judge([*PAST, *noise])
    assert again == span
    np.testing.assert_array_equal(other.models[1], found.models[1])


def test_a_session_that_goes_on_holds_back_those_after_it_for_an_hour_at_most() -> None:
    first = NEW[0]
    long = [
        first._replace(event_id=f"long{n}", event_time_ms=END_MS + 1 + 1_500 * n, user_id="long")
        for n in range(3_000)
    ]
    later = sessions(100, start_ms=END_MS + 4_400_000, every_ms=EVERY_MS, name="l")
    span, found = judge(sorted([*PAST, *NEW, *long[:60]], key=lambda event: event.event_time_ms))
    assert (span.through_ms, len(found.answers)) == (END_MS, 0)
    everything = sorted([*PAST, *NEW, *long, *later], key=lambda event: event.event_time_ms)
    actions = actions_in_time(everything)
    assert find_span(actions, END_MS, idle_ms=IDLE_MS).through_ms > END_MS + 600_000


def test_a_round_takes_so_many_sessions_and_the_next_one_goes_on() -> None:
    actions = actions_in_time([*PAST, *NEW])
    first = find_span(actions, END_MS, idle_ms=IDLE_MS, most=10)
    assert len(judge_sessions(actions, [ALONE], first, idle_ms=IDLE_MS).answers) == 10
    second = find_span(actions, first.through_ms, idle_ms=IDLE_MS, most=10)
    assert second.after_ms == first.through_ms < second.through_ms


def test_a_version_that_fails_is_worth_what_the_sessions_alone_are(caplog: pytest.LogCaptureFixture) -> None:
    actions = actions_in_time([*PAST, *NEW])
    span = find_span(actions, END_MS, idle_ms=IDLE_MS)
    found = judge_sessions(actions, [Failing()], span, idle_ms=IDLE_MS, fails_over=True)
    np.testing.assert_array_equal(found.models[0], found.alone)
    assert caplog.text.count("version failing fails") == 1
    with pytest.raises(ArithmeticError):
        judge_sessions(actions, [Failing()], span, idle_ms=IDLE_MS)


def test_without_actions_there_is_nothing_to_judge() -> None:
    assert find_span([], 5, idle_ms=IDLE_MS) == (5, 5)
