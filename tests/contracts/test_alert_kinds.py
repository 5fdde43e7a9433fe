"""Kinds of alerts are an open register; a kind from outside has an envelope with subject and detail."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from contracts.alerts import (
    FLAT_KINDS,
    AlertState,
    InvalidAlert,
    InvalidKind,
    decode_alert,
    describe_detail,
    encode_alert,
    find_kind,
    kind_names,
    register_kind,
)
from contracts.subjects import SITE, visitor
from stock_alerts import STOCK_LOW, make_stock_alert, registered


@pytest.fixture
def stock_low() -> Iterator[None]:
    with registered():
        yield


@pytest.mark.usefixtures("stock_low")
def test_an_alert_of_a_registered_kind_survives_the_wire() -> None:
    alert = make_stock_alert()
    ended = alert._replace(state=AlertState.RESOLVED, at_ms=alert.at_ms + 5, reasons=())
    assert decode_alert(encode_alert(alert)) == alert
    assert decode_alert(encode_alert(ended)) == ended


@pytest.mark.usefixtures("stock_low")
def test_its_record_has_a_subject_and_a_detail() -> None:
    alert = make_stock_alert()
    assert orjson.loads(encode_alert(alert)) == {
        "schema": 1,
        "record_id": alert.record_id,
        "alert_id": alert.alert_id,
        "kind": "stock_low",
        "state": "firing",
        "severity": "high",
        "subject": {"kind": "product", "id": "p1"},
        "episode": 1,
        "at_ms": alert.at_ms,
        "fired_ms": alert.at_ms,
        "live": True,
        "detail": {"stock": 3, "cover_days": 1.5},
        "model": None,
        "threshold": 2.0,
        "reasons": ["3 left, enough for 1.5 days"],
    }


def test_a_process_that_does_not_know_the_kind_passes_it_on_as_it_is() -> None:
    with registered():
        raw = encode_alert(make_stock_alert())
    alert = decode_alert(raw)
    assert (alert.kind, alert.subject, alert.user_id) == ("stock_low", make_stock_alert().subject, None)
    assert alert.detail == {"stock": 3, "cover_days": 1.5}
    assert encode_alert(alert) == raw
    assert describe_detail(alert.kind, alert.detail) == "stock 3, cover_days 1.5"


@pytest.mark.usefixtures("stock_low")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"subject": {"kind": "visitor", "id": "u1"}}, "subject.kind.unfit"),
        ({"subject": {"kind": "shelf", "id": "u1"}}, "subject.kind.unknown"),
        ({"subject": {"kind": "product", "id": ""}}, "subject.id.not_text"),
        ({"subject": "p1"}, "subject.not_object"),
        ({"detail": None}, "detail.not_object"),
        ({"detail": {"stock": -1}}, "detail.stock.not_count"),
        ({"threshold": float("nan")}, ""),
        ({"episode": None}, "episode.missing"),
        ({"at_ms": 5}, "at_ms.before_firing"),
    ],
)
def test_a_broken_field_is_refused_by_name_and_rule(change: dict[str, Any], code: str) -> None:
    raw = orjson.dumps(orjson.loads(encode_alert(make_stock_alert())) | change)
    if not code:
        assert decode_alert(raw).threshold is None  # JSON has no such number
        return
    with pytest.raises(InvalidAlert) as caught:
        decode_alert(raw)
    assert caught.value.code == code


def test_the_site_needs_no_id() -> None:
    raw = orjson.loads(encode_alert(make_stock_alert(detail={})))
    assert decode_alert(orjson.dumps(raw | {"subject": {"kind": "site"}})).subject == SITE


def test_an_unknown_kind_without_a_subject_is_no_alert() -> None:
    raw = orjson.loads(encode_alert(make_stock_alert(detail={})))
    del raw["subject"]
    with pytest.raises(InvalidAlert, match=r"kind\.unknown: kind must be one of churn_risk, cart_abandoned"):
        decode_alert(orjson.dumps(raw))


def test_a_detail_that_is_not_plain_needs_its_kind() -> None:
    with pytest.raises(InvalidAlert, match=r"kind\.unknown: stock_low is not registered"):
        encode_alert(make_stock_alert())


def test_the_product_has_two_kinds() -> None:
    assert kind_names() == FLAT_KINDS == ("churn_risk", "cart_abandoned")
    assert find_kind("stock_low") is None


@pytest.mark.usefixtures("stock_low")
def test_a_name_is_taken_once() -> None:
    assert kind_names() == (*FLAT_KINDS, "stock_low")
    register_kind(STOCK_LOW)  # the same again, as when a module is loaded for two parts
    with pytest.raises(InvalidKind, match="stock_low: a kind of alert with this name already exists"):
        register_kind(replace(STOCK_LOW, title="Another"))


@pytest.mark.parametrize("name", ["", "Stock", "stock:low", "stock low", "1st"])
def test_a_name_is_one_lower_case_word(name: str) -> None:
    with pytest.raises(InvalidKind, match="must be a lower-case word"):
        register_kind(replace(STOCK_LOW, name=name))


def test_a_kind_is_about_something() -> None:
    with pytest.raises(InvalidKind, match="subjects must not be empty"):
        register_kind(replace(STOCK_LOW, subjects=frozenset()))


def test_subjects_of_visitors_are_named_by_the_user_id_alone() -> None:
    alert = make_stock_alert(subject=visitor("u1"), detail={})
    assert alert.user_id == "u1"
