"""`/v1/alerts.csv`: a table that goes on where it ended, and that no spreadsheet runs."""

import csv
import io
import re

import httpx
import pytest

from alert_makers import CHURN, change_alert, make_alert, make_expired
from api.resources.alerts.export import COLUMNS
from contracts.alerts import CART_ABANDONED, CHURN_RISK, Offer, OfferKind
from shop_state import ShopState

TABLE = "/v1/alerts.csv"


async def read(client: httpx.AsyncClient, query: str = "") -> tuple[list[dict[str, str]], str]:
    """The rows, and the address of what follows."""
    answer = await client.get(f"{TABLE}{query}" if not query.startswith("/") else query)
    assert answer.status_code == 200, answer.text
    link = re.fullmatch(r'<([^>]+)>; rel="next"', answer.headers["link"])
    assert link is not None
    return list(csv.DictReader(io.StringIO(answer.text, newline=""))), link[1]


async def test_every_step_is_a_row_with_what_is_null_left_empty(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts([CHURN, change_alert(make_expired(CHURN), session_id=None, purchase=None)])
    state.flush()
    answer = await client.get(TABLE)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-disposition"] == 'attachment; filename="alerts.csv"'
    head, *rows, end = answer.text.split("\r\n")
    assert head == ",".join(COLUMNS)
    assert (len(rows), end) == (2, "")
    (firing, expired), _ = await read(client)
    cursor = firing.pop("cursor")
    assert cursor == (await client.get("/v1/alerts?limit=1")).json()["next"]
    assert firing == {
        "record_id": "0a1b-firing",
        "alert_id": "0a1b",
        "kind": "churn_risk",
        "state": "firing",
        "severity": "high",
        "user_id": "u1",
        "session_id": "s-9",
        "session": "3",
        "episode": "1",
        "at": "2025-10-09T08:53:20Z",
        "fired_at": "2025-10-09T08:53:20Z",
        "live": "true",
        "cart_lines": "2",
        "cart_value": "59.90",
        "currency": "EUR",
        "purchase_probability": "0.08",
        "threshold": "0.15",
        "model": "m-1",
        "reasons": "; ".join(CHURN.reasons),
        "offer": "2 products worth 59.90 EUR in the cart: p1, p2",
        "handling": "open",
        "handled_by": "",
        "handled_at": "",
        "snoozed_until": "",
        "verdict": "",
        "note": "",
    }
    assert (expired["session_id"], expired["purchase_probability"], expired["offer"]) == ("", "", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_what_visitors_typed_does_not_become_a_formula(
    client: httpx.AsyncClient, state: ShopState, start: str
) -> None:
    typed = f'{start}HYPERLINK("http://x","a,b")\r\nnext'
    offer = Offer(OfferKind.BRAND, ("b",), typed)
    state.publish_alerts([change_alert(CHURN, user_id=typed, offer=offer)])
    state.flush()
    ((row,), _) = await read(client)
    assert row["user_id"] == row["offer"] == f"'{typed}"
    answer = await client.post("/v1/alerts/0a1b/feedback", json={"verdict": "wrong", "note": typed})
    assert answer.status_code == 200
    ((row,), _) = await read(client)
    assert (row["verdict"], row["note"]) == ("wrong", f"'{typed}")


async def test_an_export_goes_on_where_the_one_before_ended(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.publish_alerts(make_alert(i) for i in range(700))
    state.flush()
    rows, following = await read(client, "?kind=churn_risk")
    assert [row["user_id"] for row in rows] == [f"u{i}" for i in range(700)]
    assert following.startswith("/v1/alerts.csv?kind=churn_risk&after=")
    assert (await read(client, following))[0] == []
    state.publish_alerts([make_alert(700)])
    state.flush()
    assert [row["user_id"] for row in (await read(client, following))[0]] == ["u700"]
    assert len((await read(client, f"?after={rows[497]['cursor']}"))[0]) == 203


async def test_a_limited_export_is_followed_to_the_end(client: httpx.AsyncClient, state: ShopState) -> None:
    state.publish_alerts(make_alert(i, kind=CART_ABANDONED if i % 3 == 0 else CHURN_RISK) for i in range(900))
    state.flush()
    seen: list[str] = []
    following = "?kind=cart_abandoned&limit=70"
    while True:
        rows, following = await read(client, following)
        assert len(rows) <= 70
        if not rows:
            break
        seen += [row["user_id"] for row in rows]
    assert seen == [f"u{i}" for i in range(0, 900, 3)]
    assert len((await read(client, "?limit=900"))[0]) == 900


async def test_an_empty_log_is_a_header(client: httpx.AsyncClient) -> None:
    assert (await client.get(TABLE)).text == ",".join(COLUMNS) + "\r\n"


async def test_rows_can_be_chosen_by_handling(client: httpx.AsyncClient, state: ShopState) -> None:
    state.publish_alerts([make_alert(0), make_alert(1), make_expired(make_alert(1))])
    state.flush()
    assert (await client.post("/v1/alerts/id0/acknowledge")).status_code == 200
    rows, _ = await read(client, "?handling=acknowledged")
    assert [row["record_id"] for row in rows] == ["id0-firing"]
    assert rows[0]["handled_at"].endswith("Z")
    assert len((await read(client, "?handling=open"))[0]) == 2


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "limit.too_small"),
        ("limit=5001", "limit.too_large"),
        ("after=secret-name", "after.not_cursor"),
        ("handling=secret-name", "handling.not_allowed"),
        ("since=secret-name", "since.not_time"),
        ("secret-name=1", "query.unknown"),
    ],
)
async def test_a_bad_parameter_is_named(client: httpx.AsyncClient, query: str, code: str) -> None:
    answer = await client.get(f"{TABLE}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert "secret-name" not in answer.text
