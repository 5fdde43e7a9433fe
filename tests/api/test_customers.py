"""`/v1/customers/{customer_id}`, and which visitor `/v1/users/{customer_id}` answers with."""

import httpx

from api.resources.customers.schemas import Customer as CustomerAnswer
from contracts.customers import (
    Customer,
    CustomerOrder,
    CustomerOrderLine,
    Device,
)
from contracts.logins import Login, put_login
from contracts.visitor import Action, Session, Totals, Visitor, pack_actions
from shop_state import ShopState

AT_MS = 1_570_000_000_000
DEVICES = (Device("phone", AT_MS, AT_MS + 9_000), Device("laptop", AT_MS, AT_MS + 5_000, AT_MS + 6_000))
ORDERS = (
    CustomerOrder("o2", "phone", AT_MS + 9_000, (CustomerOrderLine("e2", "", 1, 5_000, "EUR"),)),
    CustomerOrder(
        None,
        "",
        AT_MS,
        (CustomerOrderLine("e1", "p1", 2, 1_999, "EUR"), CustomerOrderLine("e0", "p2", 1, None, None)),
    ),
)
ANNA = Customer(AT_MS, AT_MS + 9_000, DEVICES, ORDERS, 7, 12, {"EUR": 20_000, "JPY": 7}, {"EUR": 500})


def make_visitor(last_ms: int, customer_id: str = "anna") -> Visitor:
    session = Session(None, 1, AT_MS, last_ms, (1, 0, 0, 0, 0), 0, {}, {})
    action = Action(last_ms, 0, b"a" * 8, "p1", 1, None, None, None, None, None)
    totals = Totals(AT_MS, last_ms, (1, 0, 0, 0, 0), 0, {})
    visitor = Visitor(totals, None, session, pack_actions([action]), False, 0, b"", {})
    return put_login(visitor, Login(customer_id, AT_MS, AT_MS))


async def test_a_customer_has_totals_orders_and_devices(client: httpx.AsyncClient, state: ShopState) -> None:
    state.put_customer("anna", ANNA)
    state.flush()
    answer = await client.get("/v1/customers/anna")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert CustomerAnswer.model_validate(said).model_dump(mode="json") == said
    totals = said["totals"]
    assert (totals["orders"], totals["units"]) == (7, 12)
    assert [(m["currency"], m["amount"]) for m in totals["net_revenue"]] == [("EUR", "195.00"), ("JPY", "7")]
    assert [(o["order_id"], o["visitor_id"]) for o in said["orders"]] == [("o2", "phone"), (None, None)]
    assert [line["product_id"] for o in said["orders"] for line in o["lines"]] == [None, "p1", "p2"]
    assert [[m["amount"] for m in order["value"]] for order in said["orders"]] == [["50.00"], ["39.98"]]
    assert [v["visitor_id"] for v in said["visitors"]] == ["phone", "laptop"]
    assert said["visitors"][0]["logged_out_at"] is None
    assert said["visitors"][1]["logged_out_at"] == "2019-10-02T07:06:46Z"


async def test_a_customer_nobody_knows_or_that_cannot_be_read_is_a_problem(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.put_customer("spoiled", b"\xc1")
    state.flush()
    for customer_id in ("zoe", "spoiled"):
        answer = await client.get(f"/v1/customers/{customer_id}")
        assert (answer.status_code, answer.json()["code"]) == (404, "customer.unknown")
        assert customer_id not in answer.text


async def test_a_customer_is_answered_with_the_device_that_was_used_last(
    client: httpx.AsyncClient, state: ShopState
) -> None:
    state.put_customer("anna", ANNA)
    state.put_visitor("phone", make_visitor(AT_MS + 1_000))
    state.put_visitor("laptop", make_visitor(AT_MS + 5_500))
    state.flush()
    said = (await client.get("/v1/users/anna")).json()
    assert (said["user_id"], said["visitor_id"], said["customer_id"]) == ("anna", "laptop", "anna")
    # Somebody else goes on with the laptop, of which she has logged out.
    state.put_visitor("laptop", make_visitor(AT_MS + 60_000, "ben"))
    state.flush()
    said = (await client.get("/v1/users/anna")).json()
    assert (said["visitor_id"], said["customer_id"]) == ("phone", "anna")
    said = (await client.get("/v1/users/laptop")).json()
    assert (said["user_id"], said["visitor_id"], said["customer_id"]) == ("laptop", "laptop", "ben")
    said = (await client.get("/v1/users/phone")).json()
    assert (said["user_id"], said["visitor_id"], said["customer_id"]) == ("phone", "phone", "anna")


async def test_unlinking_without_kafka_is_to_be_sent_again(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/v1/customers/anna/visitors/a%2Fphone")
    assert (answer.status_code, answer.json()["code"]) == (503, "kafka.unavailable")
