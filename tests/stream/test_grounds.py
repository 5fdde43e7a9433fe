"""What an alert says is true of the visitor at that moment."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerted_visitor import AlertedVisitor, at, by_digest, histories, make_rules
from contracts.alerts import CART_ABANDONED, CHURN_RISK, Alert, AlertState
from contracts.reasons import REASON_WORDS
from contracts.visitor import Visitor
from models.silence import hear_silence
from shoppers import make_action
from stream.alerts.grounds import say_grounds
from stream.alerts.rules import VisitorView
from stream.visitors.session import SessionSettings, absorb

SESSIONS = SessionSettings(1_800_000, 60_000)


def say(*reasons: tuple[str, float], seconds: float = 0, actions: int = 2, limit: int = 9) -> tuple[str, ...]:
    """The grounds of a visitor who viewed products and put the first into the cart last."""
    views = [make_action("view", n * 30, f"p{n}") for n in range(actions - 1)]
    last_s = max((actions - 1) * 30.0, seconds)
    visitor, _ = absorb(None, [*views, make_action("cart", last_s, "p0", price=1_050)], SESSIONS)
    return grounds_of(visitor, *reasons, limit=limit)


def grounds_of(
    visitor: Visitor, *reasons: tuple[str, float], at_ms: int = 0, limit: int = 9
) -> tuple[str, ...]:
    head = visitor.head
    view = VisitorView("u1", visitor.totals.first_ms, head, visitor.tail, None)
    return say_grounds(view, reasons, at_ms=at_ms or head.last_ms, currency="EUR", limit=limit)


def test_what_lowers_the_chance_is_said_strongest_first_and_each_once() -> None:
    reasons = (("time", -0.5), ("history", 2.0), ("odd_code", -0.9), ("cart", -0.2), ("cart_value", -0.3))
    assert say(*reasons) == ("odd code", "the time of day", "1 product worth 10.50 EUR in the cart")
    assert say(*reasons, limit=1) == ("odd code",)


def test_a_session_is_long_only_if_it_is() -> None:
    assert say(("activity", -1.0)) == ("2 actions so far",)
    assert say(("activity", -1.0), seconds=700) == ("long session without a purchase",)
    assert say(("activity", -1.0), actions=20) == ("long session without a purchase",)


def test_a_pause_is_named_if_there_was_one() -> None:
    assert say(("pause", -1.0)) == ()
    assert say(("pause", -1.0), seconds=300) == ("5 minutes between the last two actions",)


def test_nothing_is_said_of_the_age_of_a_cart_that_is_empty() -> None:
    visitor, _ = absorb(
        None, [make_action("cart", 0, "a"), make_action("remove_from_cart", 5, "a")], SESSIONS
    )
    every = tuple((code, -1.0) for code in REASON_WORDS)
    said = grounds_of(visitor, *every)
    assert "nothing in the cart" in said
    assert not [words for words in said if "added to the cart" in words]
    filled, _ = absorb(visitor, [make_action("cart", 60, "b")], SESSIONS)
    assert grounds_of(filled, ("cart_age", -1.0), at_ms=at(240)) == ("last added to the cart 3 minutes ago",)


def test_every_code_has_words_or_is_left_out() -> None:
    visitor, _ = absorb(None, [make_action("view", 0, "a")], SESSIONS)
    for code in REASON_WORDS:
        assert all(words and "\n" not in words for words in grounds_of(visitor, (code, -1.0)))


def firings(alerted: AlertedVisitor) -> Iterator[Alert]:
    return (alert for alert in alerted.alerts if alert.state is AlertState.FIRING)


@given(histories(), st.booleans())
def test_no_alert_speaks_of_what_is_not_there(actions: list[object], needs_cart: bool) -> None:
    alerted = AlertedVisitor(by_digest, make_rules(churn_needs_cart=needs_cart))
    for action in actions:
        alerted.act(action)  # type: ignore[arg-type]
    alerted.pass_time(at(30 * 86_400))
    for alert in firings(alerted):
        said = " ".join(alert.reasons)
        assert alert.detail.cart_lines or not needs_cart
        assert alert.detail.cart_lines or "added to the cart" not in said
        assert ("nothing in the cart" in said) <= (not alert.detail.cart_lines)


@pytest.mark.parametrize("chance", [0.2, 0.45, 0.9])
def test_an_abandoned_cart_says_the_chance_after_the_silence(chance: float) -> None:
    alerted = AlertedVisitor(lambda _: chance, make_rules(churn_fire=0.0))
    alerted.act(make_action("cart", 0, "a"))
    score = alerted.score
    alerted.pass_time(at(1_000))
    (alert,) = firings(alerted)
    assert alert.kind == CART_ABANDONED
    assert score is not None
    assert alert.detail.purchase == hear_silence(score, 900_000).purchase
    assert alert.detail.purchase < chance / 2


def test_what_is_told_of_a_silence_is_true_when_it_is_told() -> None:
    alerted = AlertedVisitor(lambda _: 0.16)
    alerted.act(make_action("cart", 0, "a"))
    (alert,) = alerted.pass_time(at(181))
    assert alert.kind == CHURN_RISK
    assert alert.reasons[0] == "no action for more than 3 minutes"
