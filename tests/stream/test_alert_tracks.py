"""Alerts about products: one open at a time, a cool-down, ids that reading again makes anew."""

from collections.abc import Iterator

import msgpack
import pytest

from contracts.alerts import AlertState, Severity, decode_alert, encode_alert
from contracts.subjects import product
from stock_alerts import AT_MS, STOCK_LOW, StockDetail, registered
from stream.alerts.rules import Firing
from stream.alerts.tracks import NO_TRACK, Tracked, close_alert, fire_alert, pack_track, unpack_track

COOLDOWN_MS = 60_000


@pytest.fixture(autouse=True)
def stock_low() -> Iterator[None]:
    with registered():
        yield


def fire(track=NO_TRACK, at_ms: int = AT_MS, product_id: str = "p1") -> Tracked:
    firing = Firing(at_ms, Severity.HIGH, StockDetail(3, 1.5), ("3 left",), threshold=2.0)
    return fire_alert(track, product(product_id), STOCK_LOW.name, firing, cooldown_ms=COOLDOWN_MS)


def test_an_alert_fires_once_and_is_closed_once() -> None:
    track, (alert,) = fire()
    assert (alert.kind, str(alert.subject), alert.episode, alert.state) == (
        "stock_low", "product:p1", 1, AlertState.FIRING,
    )  # fmt: skip
    assert decode_alert(encode_alert(alert)) == alert
    assert fire(track, AT_MS + COOLDOWN_MS) == (track, [])
    track, (end,) = close_alert(track, AlertState.RESOLVED, AT_MS + 5)
    assert (end.alert_id, end.at_ms, end.reasons) == (alert.alert_id, AT_MS + 5, ())
    assert close_alert(track, AlertState.RESOLVED, AT_MS + 6) == (track, [])


def test_the_next_one_waits_for_the_end_of_the_cool_down() -> None:
    track, (first,) = fire()
    track, _ = close_alert(track, AlertState.RESOLVED, AT_MS + 5)
    assert fire(track, AT_MS + COOLDOWN_MS - 1) == (track, [])
    _, (second,) = fire(track, AT_MS + COOLDOWN_MS)
    assert second.episode == 2
    assert second.alert_id != first.alert_id


def test_reading_the_log_again_makes_the_same_ids_and_other_products_others() -> None:
    ids = [fire()[1][0].alert_id, fire()[1][0].alert_id, fire(product_id="p2")[1][0].alert_id]
    assert ids[0] == ids[1] != ids[2]


def test_a_late_end_closes_at_the_firing() -> None:
    track, _ = fire()
    assert close_alert(track, AlertState.EXPIRED, AT_MS - 9)[1][0].at_ms == AT_MS


def test_a_track_survives_the_state() -> None:
    track, _ = fire()
    closed, _ = close_alert(track, AlertState.EXPIRED, AT_MS)
    for kept in (NO_TRACK, track, closed):
        assert unpack_track(msgpack.unpackb(msgpack.packb(pack_track(kept)))) == kept
    assert pack_track(NO_TRACK) == ()
