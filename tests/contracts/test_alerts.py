"""Alerts and scores keep what they say on the wire and in the state, and refuse what is no alert."""

import json

import msgpack
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alert_makers import change_alert
from contracts.alerts import (
    CART_ABANDONED,
    CHURN_RISK,
    FLAT_KINDS,
    MAX_VALUE_MINOR,
    Alert,
    AlertState,
    InvalidAlert,
    Offer,
    OfferKind,
    Severity,
    VisitorDetail,
    decode_alert,
    encode_alert,
    make_alert_id,
)
from contracts.scores import (
    ALL_JUDGED,
    Pending,
    Score,
    Unjudged,
    pack_score,
    pack_unjudged,
    round_score,
    unpack_score,
    unpack_unjudged,
)
from contracts.settings import Settings
from contracts.subjects import visitor
from contracts.visitor_alerts import NO_ALERTS, KindState, VisitorAlerts, pack_alerts, unpack_alerts

NOW_MS = 1_760_000_000_000
ALERT = Alert(
    "0a1b", CHURN_RISK, AlertState.FIRING, Severity.HIGH, visitor("u1"), 1, NOW_MS, NOW_MS, True,
    VisitorDetail(
        "s-9", 3, NOW_MS - 60_000, 2, 5_990, "EUR", 0.08, Offer(OfferKind.CART, ("p1", "p2"), "2 products")
    ),
    "m-1", 0.15, ("no action for 3 minutes",),
)  # fmt: skip
KINDS_KEPT = {CHURN_RISK: KindState(1, 5, 7, False, True), CART_ABANDONED: KindState(2, 6)}

_words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
_probabilities = st.floats(0, 1)
_money = st.tuples(st.integers(0, MAX_VALUE_MINOR), st.sampled_from(["EUR", "JPY"])) | st.just((None, None))
_offers = st.builds(
    Offer, kind=st.sampled_from(OfferKind), names=st.lists(_words, max_size=3).map(tuple), words=_words
)


@st.composite
def alerts(draw: st.DrawFn) -> Alert:
    """Any alert the contract allows."""
    fired_ms, state = draw(st.integers(0, 2**50)), draw(st.sampled_from(AlertState))
    at_ms = fired_ms if state is AlertState.FIRING else fired_ms + draw(st.integers(0, 2**40))
    value_minor, currency = draw(_money)
    return Alert(
        draw(_words), draw(st.sampled_from(FLAT_KINDS)), state, draw(st.sampled_from(Severity)),
        visitor(draw(_words)), draw(st.integers(0, 99)), at_ms, fired_ms, draw(st.booleans()),
        VisitorDetail(
            draw(st.none() | _words), draw(st.integers(0, 2**31)), draw(st.integers(0, 2**50)),
            draw(st.integers(0, 200)), value_minor, currency, draw(st.none() | _probabilities),
            draw(st.none() | _offers),
        ),
        draw(st.none() | _words), draw(st.none() | _probabilities),
        tuple(draw(st.lists(_words, max_size=3))),
    )  # fmt: skip


@given(alerts())
def test_every_alert_survives_the_wire(alert: Alert) -> None:
    assert decode_alert(encode_alert(alert)) == alert


def test_fields_of_a_later_version_are_ignored() -> None:
    fields = orjson.loads(encode_alert(ALERT)) | {"colour": "red"}
    fields["offer"]["discount"] = 5
    assert decode_alert(orjson.dumps(fields)) == ALERT


def test_steps_of_one_alert_have_different_record_ids_and_copies_the_same() -> None:
    assert ALERT.record_id == "0a1b-firing" == ALERT._replace(live=False).record_id
    assert ALERT._replace(state=AlertState.EXPIRED).record_id == "0a1b-expired"


def test_the_record_id_is_on_the_wire() -> None:
    assert orjson.loads(encode_alert(ALERT))["record_id"] == "0a1b-firing"


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (None, "alert.empty"),
        (b"", "alert.not_json"),
        (b"\xff", "alert.not_json"),
        (b"[]", "alert.not_object"),
        (b"{}", "schema.unsupported"),
        (b'{"schema":2}', "schema.unsupported"),
        (b'{"schema":true}', "schema.unsupported"),
        (b'{"schema":1}', "alert_id.missing"),
    ],
)
def test_bytes_that_are_no_alert_are_refused(raw: bytes | None, code: str) -> None:
    with pytest.raises(InvalidAlert) as caught:
        decode_alert(raw)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("kind", "tired", "kind.unknown"),
        ("kind", None, "kind.missing"),
        ("state", 3, "state.not_text"),
        ("severity", "", "severity.not_text"),
        ("user_id", None, "user_id.missing"),
        ("session", True, "session.not_count"),
        ("episode", -1, "episode.not_count"),
        ("cart_lines", 1.0, "cart_lines.not_count"),
        ("at_ms", NOW_MS - 1, "at_ms.before_firing"),
        ("at_ms", NOW_MS + 1, "at_ms.not_firing"),
        ("purchase", 1.5, "purchase.not_probability"),
        ("purchase", True, "purchase.not_probability"),
        ("currency", "EURO", "currency.unknown"),
        ("currency", None, "currency.unpaired"),
        ("live", 1, "live.not_boolean"),
        ("reasons", "slow", "reasons.not_list"),
        ("reasons", [1], "reasons.not_text"),
        ("offer", [], "offer.not_object"),
        ("offer", {"kind": "coupon", "names": [], "words": "x"}, "offer.kind.unknown"),
        ("offer", {"kind": "cart", "names": None, "words": "x"}, "offer.names.not_list"),
        ("offer", {"kind": "cart", "names": [], "words": None}, "offer.words.missing"),
    ],
)
def test_a_broken_field_is_refused_by_name_and_rule(name: str, value: object, code: str) -> None:
    fields = orjson.loads(encode_alert(ALERT)) | {name: value}
    with pytest.raises(InvalidAlert, match=code) as caught:
        decode_alert(orjson.dumps(fields))
    assert caught.value.code == code


@given(st.binary() | st.dictionaries(_words, st.none() | _words).map(lambda d: json.dumps(d).encode()))
def test_no_bytes_crash_the_reader(raw: bytes) -> None:
    with pytest.raises(InvalidAlert):
        decode_alert(raw)


def test_an_id_tells_visitor_kind_session_episode_and_life_apart() -> None:
    parts = [("u1", CHURN_RISK, 1, 1, 0), ("u2", CHURN_RISK, 1, 1, 0),
             ("u1", CART_ABANDONED, 1, 1, 0), ("u1", CHURN_RISK, 2, 1, 0),
             ("u1", CHURN_RISK, 1, 2, 0), ("u1", CHURN_RISK, 1, 1, 9)]  # fmt: skip
    assert len({make_alert_id(*part) for part in parts}) == len(parts)
    assert make_alert_id(*parts[0]) == "74eb5fa455665e41f232f44f"  # other programs may have kept it


_scores = st.builds(
    Score,
    version=_words,
    at_ms=st.integers(0, 2**50),
    actions=st.integers(1, 999),
    session=st.integers(1, 99),
    probabilities=st.tuples(*[_probabilities] * 5),
    purchase=_probabilities,
    reasons=st.lists(st.tuples(_words, st.floats(-9, 9)), max_size=3).map(tuple),
)


@given(_scores)
def test_a_score_read_back_is_the_score_that_was_decided_on(score: Score) -> None:
    rounded = round_score(score)
    blob = msgpack.packb(pack_score(rounded))
    assert unpack_score(msgpack.unpackb(blob, use_list=False)) == rounded
    assert abs(rounded.purchase - score.purchase) <= 0.5e-4


@given(st.lists(alerts(), max_size=2), st.booleans())
def test_a_book_survives_the_state(opened: list[Alert], live: bool) -> None:
    kept = tuple(change_alert(alert, reasons=(), offer=None) for alert in opened)
    alert_state = VisitorAlerts(4, 3, live, KINDS_KEPT, kept)
    blob = msgpack.packb(pack_alerts(alert_state))
    again = unpack_alerts(msgpack.unpackb(blob, use_list=False))
    assert again == alert_state
    assert unpack_alerts(msgpack.unpackb(blob)) == alert_state
    assert all(type(alert.state) is AlertState for alert in again.open)


def test_a_book_of_an_earlier_version_is_read_without_the_start_of_its_session() -> None:
    alert_state = unpack_alerts((4, (1, 2), False, True, (5, 6), 7, True, ()))
    assert alert_state == VisitorAlerts(4, 0, True, KINDS_KEPT)


def test_what_was_never_used_takes_no_room_in_the_state() -> None:
    assert pack_alerts(NO_ALERTS) == pack_unjudged(ALL_JUDGED) == ()
    assert unpack_alerts(()) == NO_ALERTS
    assert unpack_unjudged(()) == ALL_JUDGED


def test_what_waits_to_be_judged_survives_the_state() -> None:
    unjudged = Unjudged(
        (("m-1", (1, 2, 3, 4, 9_990)),), (Pending("m-1", 1, 2, 3, 4, ((0, 1, 50), (9, 2, 19_000))),), "m-1", 3
    )
    blob = msgpack.packb(pack_unjudged(unjudged))
    assert unpack_unjudged(msgpack.unpackb(blob)) == unjudged


def test_thresholds_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="churn_rearm must be at least churn_fire"):
        Settings(churn_fire=0.4, churn_rearm=0.2)
    with pytest.raises(ValueError, match="severity_high_minor must be at least"):
        Settings(severity_medium_minor=10, severity_high_minor=5)
