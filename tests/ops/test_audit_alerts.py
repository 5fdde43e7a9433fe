"""What an independent replay can know of alerts: nothing where events came in an order that decides."""

import pytest

from contracts.alerts import AlertState
from ops.audit import CartAlertRules, CartStep, abandoned_carts, is_clear
from ops.audit.abandoned import SentEvent

RULES = CartAlertRules(
    partitions=1,
    idle_ms=10_000,
    disorder_ms=2_000,
    cart_idle_ms=5_000,
    recovery_ms=60_000,
    cooldown_ms=0,
    live=True,
)
VIEW, CART, PURCHASE = 0, 2, 4


def sent_event(rank: int, at_ms: int, *, late_ms: int = 0) -> SentEvent:
    return SentEvent(at_ms, rank, f"{at_ms}".encode(), "p1", 1, 100, "EUR", at_ms + late_ms)


def judge(*sent_events: SentEvent) -> tuple[list[CartStep], bool]:
    """The steps of the only visitor, and whether they are clear."""
    steps = abandoned_carts({"u1": sent_events}, RULES).get("u1", [])
    return steps, is_clear(sent_events, steps, RULES)


def test_a_cart_is_abandoned_after_silence_and_bought_later() -> None:
    steps, clear = judge(sent_event(CART, 1_000), sent_event(PURCHASE, 8_000))
    assert [(step.state, step.at_ms) for step in steps] == [
        (AlertState.FIRING, 6_000),
        (AlertState.RESOLVED, 8_000),
    ]
    assert clear


def test_of_two_purchases_in_the_wrong_order_either_may_have_resolved_the_alert() -> None:
    cart = sent_event(CART, 1_000)
    assert judge(cart, sent_event(PURCHASE, 8_000), sent_event(PURCHASE, 8_100))[1]
    assert not judge(cart, sent_event(PURCHASE, 8_000, late_ms=150), sent_event(PURCHASE, 8_100))[1]


@pytest.mark.parametrize(("late_ms", "clear"), [(500, True), (7_000, False)])
def test_what_comes_after_a_silence_was_judged_without_it_decides_nothing(late_ms: int, clear: bool) -> None:
    assert (
        judge(sent_event(CART, 1_000), sent_event(VIEW, 3_000, late_ms=late_ms), sent_event(VIEW, 9_000))[1]
        is clear
    )
