"""Which records become rows, and whose rows a deletion takes."""

from typing import NamedTuple

import polars as pl
import pytest

from archive.cuts import find_deleted
from archive.intake import FlushLimits, Intake
from archive.records import FORWARDED, INTERNAL, REJECTED, Place, event_rows
from contracts.deletions import digest_user
from contracts.events import Event, EventType, Statement, encode
from contracts.partitioning import partition_of
from contracts.topics import archived_topics, input_topics, register_input_topic
from registrations import own_registrations
from sources.archive.schema import to_events, to_frame, to_record_frame, to_row

NOW_MS = 1_764_504_000_000
SECRET = "a secret of a test"  # noqa: S105 - of this test
GONE = "visitor/17 é"


class Sent(NamedTuple):
    """A record as a consumer gives it."""

    offset: int
    key: bytes | None
    value: bytes | None
    timestamp: int = NOW_MS


def made(user_id: str, kind: EventType | Statement = EventType.VIEW, **fields: object) -> Event:
    return Event("e1", kind, NOW_MS, user_id, "p1")._replace(**fields)  # type: ignore[arg-type]


def test_what_workers_count_becomes_rows_and_the_rest_is_counted_by_what_it_is() -> None:
    customer = "customer-1"
    home = partition_of(customer, 8)
    device = next(f"d{n}" for n in range(99) if partition_of(f"d{n}", 8) != home)
    forwarded = made(device, customer_id=customer)
    logged_in = made(customer, Statement.IDENTIFY, product_id="", customer_id="x")
    records = [
        Sent(0, customer.encode(), encode(made(customer))),
        Sent(1, customer.encode(), b"no JSON"),
        Sent(2, customer.encode(), None),
        Sent(3, b"somebody", encode(made(customer))),
        Sent(4, customer.encode(), encode(forwarded)),
        Sent(5, customer.encode(), encode(logged_in)),
        Sent(6, device.encode(), encode(made(device))),
    ]
    rows, left_out = event_rows(records, Place("view", home, 8), currency="EUR")
    assert to_frame(rows)["offset"].to_list() == [0, 5]
    assert left_out == {REJECTED: 4, FORWARDED: 1}
    told = Sent(0, customer.encode(), encode(logged_in._replace(event_type=Statement.BOUGHT_ELSEWHERE)))
    rows, left_out = event_rows([told], Place("view", home, 8), currency="EUR")
    assert (rows, left_out) == ([], {INTERNAL: 1})


def test_an_input_topic_is_archived_by_its_registration() -> None:
    assert archived_topics() == ("view", "cart", "purchase", "products")
    with own_registrations():
        register_input_topic("inventory")
        register_input_topic("notes", archived=False)
        assert {"inventory", "notes"} <= set(input_topics())
        assert archived_topics() == ("view", "cart", "purchase", "products", "inventory")
        intake = Intake({"view": [0], "inventory": [0]}, FlushLimits(), currency="EUR")
        intake.take("inventory", 0, [Sent(7, b"p1", b"\xff")], 8)
        batch = intake.make_batch({}, SECRET)
    assert batch.frames["inventory"].row(0)[:5] == (b"p1", b"\xff", "inventory", 0, 7)
    assert (batch.offsets["inventory"], intake.is_empty) == ((8,), True)


@pytest.mark.parametrize(
    ("event", "is_found"),
    [
        (made(GONE), True),
        (made("device", customer_id=GONE), True),
        (made("other", session_id=GONE), True),
        (made("other", order_id=GONE), True),
        (made("other", extra={"for": {"who": [GONE]}}), True),
        (made("other", extra={"for": f'a "{GONE}"'}), False),  # of blanks and quotes, and not the whole text
        (made("other", product_id=GONE), False),  # no person
        (made("other", extra={"for": f"not {GONE}x"}), False),
    ],
)
def test_a_row_is_about_whoever_acted_and_whom_it_names(event: Event, is_found: bool) -> None:
    frame = to_frame([to_row(event, "view", 0, 1, NOW_MS)])
    digest = digest_user(GONE, SECRET)
    found = find_deleted(frame, "events", {digest: NOW_MS}, SECRET)
    assert found.to_list() == [digest if is_found else None]
    assert find_deleted(frame, "events", {digest: NOW_MS}, "another secret").to_list() == [None]


@pytest.mark.parametrize("text", ["see visitor-17.", "https://shop/u/visitor-17?x=1", "by:visitor-17"])
def test_a_distinctive_id_is_found_as_a_word_of_a_text(text: str) -> None:
    cuts = {digest_user("visitor-17", SECRET): NOW_MS, digest_user("17", SECRET): NOW_MS}
    frame = to_frame([to_row(made("other", extra={"said": text}), "view", 0, 1, NOW_MS)])
    assert find_deleted(frame, "events", cuts, SECRET).to_list() == [digest_user("visitor-17", SECRET)]
    short = to_frame([to_row(made("other", extra={"said": "17"}), "view", 0, 1, NOW_MS)])
    assert find_deleted(short, "events", cuts, SECRET).to_list() == [None]
    record = to_record_frame([(b"p1", f'{{"by": "{text}"}}'.encode(), "inventory", 0, 1, NOW_MS)])
    assert find_deleted(record, "inventory", cuts, SECRET).null_count() == 0


@pytest.mark.parametrize(
    ("happened_ms", "arrived_ms", "is_kept"),
    [(0, 0, False), (0, 1, False), (1, 0, False), (1, 1, True)],
)
def test_what_happened_or_arrived_by_the_cut_goes_and_what_came_after_stays(
    happened_ms: int, arrived_ms: int, is_kept: bool
) -> None:
    event = made("visitor-17", event_time_ms=NOW_MS + happened_ms)
    intake = Intake({"view": [0]}, FlushLimits(), currency="EUR")
    intake.take("view", 0, [Sent(0, b"visitor-17", encode(event), NOW_MS + arrived_ms)], 1)
    batch = intake.make_batch({digest_user("visitor-17", SECRET): NOW_MS}, SECRET)
    kept: pl.DataFrame = batch.frames["events"]
    assert list(to_events(kept)) == ([event] if is_kept else [])
    assert batch.left_out["forgotten"] == (not is_kept)
