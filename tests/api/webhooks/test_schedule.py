"""When to try again, whom to spare, whom to give up: pure functions over invented times."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delivery.webhooks.deliveries import (
    ATTEMPTS_KEPT,
    Attempt,
    Delivery,
    DeliveryStatus,
    DeliveryUpdate,
    Health,
    Result,
    apply_attempt,
    decode_delivery,
    decode_health,
    encode_delivery,
    encode_health,
    judge_status,
)
from delivery.webhooks.endpoints import DisabledReason
from delivery.webhooks.policy import DeliveryPolicy
from delivery.webhooks.retry import SCHEDULE_S, delay_s, parse_retry_after, throttle_s
from delivery.webhooks.streaks import NO_STREAK, SEVERAL, Streak, add_failure, is_hopeless

AT_MS = 1_760_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
POLICY = DeliveryPolicy()
NEW = Delivery("a-firing", "alert.churn_risk.firing", "u1", AT_MS)


def fail(at_ms: int, result: Result = Result.STATUS, **fields: float) -> Attempt:
    return Attempt(at_ms, 0, result, **fields)  # type: ignore[arg-type]


def test_the_schedule_is_that_of_the_specification() -> None:
    hours = 3_600.0
    assert list(SCHEDULE_S[:4]) == [0, 5, 300, 1_800]
    assert [delay / hours for delay in SCHEDULE_S[4:]] == [2, 5, 10, 14, 20, 24]
    assert [delay_s(n, 0.5) for n in range(1, 10)] == list(SCHEDULE_S[1:])
    assert delay_s(10, 0.5) is None


@given(st.integers(1, 9), st.floats(0, 1, exclude_max=True))
def test_jitter_spreads_a_delay_by_a_tenth_either_way(failures: int, draw: float) -> None:
    delay = delay_s(failures, draw)
    assert delay is not None
    assert 0.9 * SCHEDULE_S[failures] <= delay <= 1.1 * SCHEDULE_S[failures]


def test_a_delivery_that_always_fails_is_tried_ten_times_over_three_days_and_then_failed() -> None:
    delivery, health, at_ms, waits = NEW, Health(), AT_MS, []
    while True:
        update = apply_attempt(delivery, health, fail(at_ms), POLICY, 0.5)
        delivery, health = update.delivery, update.health
        if update.due_ms is None:
            break
        waits.append((update.due_ms - at_ms) / 1_000)
        at_ms = update.due_ms
    assert waits == list(SCHEDULE_S[1:])
    assert (delivery.status, delivery.n_attempts) == (DeliveryStatus.FAILED, 10)
    assert (at_ms - AT_MS) // HOUR_MS == 75
    assert update.disable is None


@pytest.mark.parametrize(
    ("status", "result"),
    [
        (200, Result.DELIVERED), (204, Result.DELIVERED), (299, Result.DELIVERED),
        (300, Result.REDIRECT), (301, Result.REDIRECT), (304, Result.REDIRECT), (308, Result.REDIRECT),
        (400, Result.STATUS), (404, Result.STATUS), (500, Result.STATUS), (501, Result.STATUS),
        (410, Result.GONE),
        (429, Result.THROTTLED), (502, Result.THROTTLED), (503, Result.THROTTLED), (504, Result.THROTTLED),
        (199, Result.STATUS), (600, Result.STATUS),
    ],
)  # fmt: skip
def test_only_2xx_is_success(status: int, result: Result) -> None:
    assert judge_status(status) is result


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None), ("120", 120), (" 7 ", 7), ("0", 0), ("86400", 86_400), ("999999999", 86_400),
        ("-1", None), ("1.5", None), ("soon", None), ("", None), ("1e9", None), ("٣", None),
        (formatdate(AT_MS / 1_000 + 90, usegmt=True), 90),
        (formatdate(AT_MS / 1_000 - 90, usegmt=True), 0),
        (formatdate(AT_MS / 1_000 + 10 * 86_400, usegmt=True), 86_400),
        ("Thu, 09 Oct 2025 08:54:50 -0000", 90),
        ("Thu, 99 Oct 2025 08:54:50 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 86_400),
    ],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date_and_a_day_at_most(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, AT_MS / 1_000) == seconds


@given(st.text(max_size=60))
def test_whatever_a_retry_after_says_it_is_a_wait_of_a_day_at_most_or_nothing(text: str) -> None:
    seconds = parse_retry_after(text, AT_MS / 1_000)
    assert seconds is None or 0 <= seconds <= 86_400


def test_a_receiver_that_asks_to_be_spared_rests_as_long_as_it_asks() -> None:
    update = apply_attempt(NEW, Health(), fail(AT_MS, Result.THROTTLED, retry_after_s=86_400.0), POLICY, 0.5)
    assert update.health.rest_until_ms == AT_MS + DAY_MS
    assert update.due_ms == AT_MS + DAY_MS
    assert update.disable is None
    # The second in a row, without a wish: twice the first rest, and never before an earlier wish.
    again = apply_attempt(update.delivery, update.health, fail(AT_MS + 1_000, Result.THROTTLED), POLICY, 0.5)
    assert again.health.throttled == 2
    assert again.health.rest_until_ms == AT_MS + DAY_MS


def test_without_a_wish_the_rest_doubles_up_to_ten_minutes() -> None:
    assert [throttle_s(n, None) for n in (1, 2, 3, 7, 8, 50)] == [5, 10, 20, 320, 600, 600]
    assert throttle_s(9, 30.0) == 30
    assert throttle_s(1, 0.0) == 5


def test_a_success_ends_rest_and_streak() -> None:
    health = Health(Streak((AT_MS,) * SEVERAL, AT_MS), 4, AT_MS + DAY_MS)
    update = apply_attempt(NEW, health, Attempt(AT_MS, 30, Result.DELIVERED, 204), POLICY, 0.5)
    assert update == DeliveryUpdate(update.delivery, Health(succeeded_ms=AT_MS + 30), None, None)
    assert update.delivery.status is DeliveryStatus.DELIVERED


def test_410_fails_the_delivery_and_disables_the_endpoint_at_once() -> None:
    update = apply_attempt(NEW, Health(), fail(AT_MS, Result.GONE), POLICY, 0.5)
    assert (update.delivery.status, update.due_ms, update.disable) == (
        DeliveryStatus.FAILED, None, DisabledReason.GONE
    )  # fmt: skip


def test_the_clock_starts_with_the_fifth_failure_within_a_day() -> None:
    streak = NO_STREAK
    for hour in (0, 7, 14, 21):
        streak = add_failure(streak, AT_MS + hour * HOUR_MS)
    assert streak.since_ms is None
    assert add_failure(streak, AT_MS + 24 * HOUR_MS).since_ms == AT_MS + 24 * HOUR_MS
    assert add_failure(streak, AT_MS + 25 * HOUR_MS).since_ms is None


def test_rare_failures_never_start_the_clock() -> None:
    streak = NO_STREAK
    for day in range(100):
        streak = add_failure(streak, AT_MS + day * DAY_MS)
    assert streak.since_ms is None
    assert len(streak.recent_ms) == SEVERAL


def test_after_five_days_of_only_failures_the_endpoint_is_given_up() -> None:
    health, disabled_at = Health(), None
    for minute in range(0, 6 * 24 * 60, 10):
        at_ms = AT_MS + minute * 60_000
        update = apply_attempt(NEW, health, fail(at_ms), POLICY, 0.5)
        health = update.health
        if update.disable is not None:
            disabled_at = at_ms
            break
    assert update.disable is DisabledReason.FAILING
    assert disabled_at == AT_MS + 40 * 60_000 + 5 * DAY_MS


def test_one_success_in_five_days_is_enough_to_go_on() -> None:
    health = Health()
    for hour in range(9 * 24):
        result = Result.DELIVERED if hour == 100 else Result.STATUS
        update = apply_attempt(NEW, health, fail(AT_MS + hour * HOUR_MS, result), POLICY, 0.5)
        assert update.disable is None
        health = update.health
    assert not is_hopeless(health.streak, AT_MS + 9 * DAY_MS - HOUR_MS * 9)


def test_only_the_newest_attempts_are_kept_but_all_are_counted() -> None:
    delivery = NEW
    for number in range(50):
        delivery = apply_attempt(delivery.again(), Health(), fail(AT_MS + number), POLICY, 0.5).delivery
    assert (len(delivery.attempts), delivery.n_attempts) == (ATTEMPTS_KEPT, 50)
    assert delivery.attempts[-1].at_ms == AT_MS + 49


def test_what_is_stored_is_read_back() -> None:
    attempt = Attempt(AT_MS, 12, Result.THROTTLED, 429, "", "slow down", True, 3.5)
    update = apply_attempt(NEW, Health(), attempt, POLICY, 0.1)
    assert decode_delivery(encode_delivery(update.delivery)) == update.delivery
    assert decode_health(encode_health(update.health)) == update.health
    assert decode_health(None) == Health()
