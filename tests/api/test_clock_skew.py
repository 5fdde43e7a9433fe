"""A sender's wrong clock is set right by when it says that it sent."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.resources.events.clock_skew import MAX_OFFSET_MS, MAX_TRANSIT_MS, ClientClocks, clock_offset_ms
from api.resources.events.validation import ValidationContext, validate
from contracts.clock import wall_clock_ms
from contracts.fields import MAX_AHEAD_MS, InvalidEvent
from event_api import CART, DRY

NOW_MS = 1_760_000_000_000


@given(st.integers(-MAX_OFFSET_MS, MAX_OFFSET_MS), st.integers(0, 3_600_000))
def test_the_age_of_an_event_is_that_by_its_senders_clock(wrong_ms: int, age_ms: int) -> None:
    sent_ms = NOW_MS - wrong_ms
    offset_ms = clock_offset_ms(sent_ms, NOW_MS)
    event = {**CART, "event_time": sent_ms - age_ms}
    [record] = validate([event], ValidationContext(NOW_MS, "EUR", offset_ms)).records
    assert record.event.event_time_ms == NOW_MS - age_ms


def test_an_offset_over_a_day_is_no_clock_that_runs_wrong() -> None:
    assert clock_offset_ms(NOW_MS - MAX_OFFSET_MS, NOW_MS) == MAX_OFFSET_MS
    assert clock_offset_ms(NOW_MS + MAX_OFFSET_MS, NOW_MS) == -MAX_OFFSET_MS
    assert clock_offset_ms(NOW_MS - MAX_OFFSET_MS - 1, NOW_MS) == 0
    assert clock_offset_ms(NOW_MS + MAX_OFFSET_MS + 1, NOW_MS) == 0
    assert clock_offset_ms(None, NOW_MS) == 0


@pytest.mark.parametrize(
    ("sent_at", "code"),
    [
        ("yesterday", "sent_at.not_time"),
        (1.5, "sent_at.not_time"),
        (True, "sent_at.not_time"),
        ("2025-10-09T08:53:20", "sent_at.naive"),
        (1_760_000_000, "sent_at.too_early"),
        ("1999-12-31T23:59:59Z", "sent_at.too_early"),
        (1_760_000_000_000_000, "sent_at.too_late"),
        ("0001-01-01T00:00:00+01:00", "sent_at.too_early"),
    ],
)
def test_what_is_no_time_is_refused_in_the_name_of_sent_at(sent_at: object, code: str) -> None:
    with pytest.raises(InvalidEvent) as refused:
        clock_offset_ms(sent_at, NOW_MS)
    assert refused.value.code == code
    assert "event_time" not in refused.value.detail


@given(st.lists(st.integers(0, MAX_TRANSIT_MS), min_size=1))
def test_time_on_the_way_is_no_wrong_clock(transits_ms: list[int]) -> None:
    clocks = ClientClocks()
    assert {clocks.correct("c", transit_ms) for transit_ms in transits_ms} == {0}


@given(
    st.integers(MAX_TRANSIT_MS + 1, MAX_OFFSET_MS) | st.integers(-MAX_OFFSET_MS, -MAX_AHEAD_MS - 60_001),
    st.lists(st.integers(0, 60_000), min_size=1),
)
def test_a_wrong_clock_is_set_right_by_the_same_for_all_bodies_of_a_client(
    wrong_ms: int, transits_ms: list[int]
) -> None:
    clocks = ClientClocks()
    corrections = {clocks.correct("c", wrong_ms + transit_ms) for transit_ms in transits_ms}
    assert corrections == {wrong_ms + transits_ms[0]}


def test_a_clock_that_is_set_is_believed_again() -> None:
    clocks = ClientClocks()
    assert [clocks.correct("c", offset_ms) for offset_ms in (3_600_000, 3_630_000, 20, 3_600_000)] == [
        3_600_000,
        3_600_000,
        0,
        3_600_000,
    ]
    assert clocks.correct("other", 30_000) == 0


def test_a_derived_id_is_the_same_at_the_next_attempt() -> None:
    event = {**CART, "event_time": NOW_MS - 3_700_000}
    first, second, untold = (
        validate([event], ValidationContext(NOW_MS, "EUR", offset_ms)).records[0].event
        for offset_ms in (3_600_000, 3_600_750, 0)
    )
    assert first.event_id == second.event_id == untold.event_id
    assert second.event_time_ms - first.event_time_ms == 750


def test_bad_times_and_absent_ones_are_not_corrected() -> None:
    events = [CART, {**CART, "event_time": "never"}, {**CART, "event_time": 1_760_000_000}]
    validated = validate(events, ValidationContext(NOW_MS, "EUR", 3_600_000))
    assert [record.event.event_time_ms for record in validated.records] == [NOW_MS]
    assert [r.code for r in validated.refusals] == ["event_time.not_time", "event_time.too_early"]


async def test_a_clock_an_hour_ahead_is_no_reason_to_refuse(client: httpx.AsyncClient) -> None:
    its_now = datetime.now(UTC) + timedelta(hours=1)
    event = {**CART, "event_time": (its_now - timedelta(seconds=2)).isoformat()}
    assert (await client.post(DRY, json=event)).status_code == 400
    answer = await client.post(DRY, json={"batch": [event], "sent_at": its_now.isoformat()})
    assert answer.status_code == 200
    assert -3_600_000 <= answer.json()["clock_offset_ms"] < -3_590_000
    for text in (its_now.isoformat(), str(int(its_now.timestamp() * 1_000))):
        answer = await client.post(DRY, json=event, headers={"X-Sent-At": text})
        assert answer.status_code == 200
        assert answer.json()["clock_offset_ms"] < -3_590_000
    slow = {"batch": [{**CART, "user_id": "slow"}], "sent_at": wall_clock_ms() - 30_000}
    assert (await client.post(DRY, json=slow)).json()["clock_offset_ms"] == 0
    told_twice = {"batch": [CART], "sent_at": wall_clock_ms()}
    answer = await client.post(DRY, json=told_twice, headers={"X-Sent-At": its_now.isoformat()})
    assert answer.json()["clock_offset_ms"] == 0, "the batch wins"
