"""Events to columns and back, and an archive as a source of events like any file."""

from datetime import date
from io import BytesIO
from pathlib import Path

import polars as pl
import pytest

from contracts.events import GUEST, LOGGED_OUT, Event, EventType, Statement
from sources import Source, UnknownFormat, fingerprint
from sources.archive import ArchivedFile, Manifest, find_manifest, open_store, scan_events
from sources.archive.manifest import encode_manifest, manifest_path
from sources.archive.schema import EVENT_COLUMNS, to_events, to_frame, to_row
from sources.archive.stores import ArchiveError, ArchiveStore

NOON_MS = 1_764_504_000_000  # 30 November 2025, 12:00 UTC
EVENTS = [
    Event("e1", EventType.VIEW, NOON_MS, "shopper", "p1", "s1", 1_999, "EUR", 1, "shoes", "acme"),
    Event("e2", EventType.CART, NOON_MS + 5, "device", "p1", None, 250, "JPY", 3, customer_id=GUEST),
    Event("e3", Statement.IDENTIFY, NOON_MS + 6, "device", "", customer_id="customer"),
    Event("e4", EventType.VIEW, NOON_MS + 7, "device", "p2", customer_id=LOGGED_OUT, extra={"a": ["ä", 1]}),
    Event("e5", EventType.PURCHASE, NOON_MS + 8, "shopper", "", None, 10**12 - 1, "KWD", order_id="o1"),
    Event("e6", EventType.REFUND, NOON_MS + 9, "shopper", "p1", order_id="o1"),
]


def put(store: ArchiveStore, batches: list[list[tuple[Event, int]]], generation: int = 1) -> Manifest:
    """An archive with a file of each batch of events and their offsets."""
    files = []
    for number, batch in enumerate(batches):
        frame = to_frame(to_row(event, "view", 0, offset, NOON_MS + offset) for event, offset in batch)
        content = BytesIO()
        frame.write_parquet(content)
        path = f"events/day=2025-11-30/{generation}-{number}.parquet"
        store.write(path, content.getvalue())
        files.append(ArchivedFile(path, "events", len(frame), 1, {"2025-11-30": len(frame)}, False, 1))
    manifest = Manifest("a1", generation, "w1", 1, {"view": (9,)}, (0,), "", tuple(files))
    store.create(manifest_path(generation), encode_manifest(manifest))
    return manifest


def test_events_become_columns_and_the_same_events_again() -> None:
    frame = to_frame(to_row(event, "view", 2, 7, NOON_MS + 1) for event in EVENTS)
    assert frame.schema == pl.Schema(EVENT_COLUMNS)
    assert list(to_events(frame)) == EVENTS
    assert frame["visitor_id"].to_list() == ["shopper", "device", "device", "device", "shopper", "shopper"]
    prices = frame["price"].cast(pl.String).to_list()
    assert prices == ["19.990", "250.000", None, None, "999999999.999", None]


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_a_source_reads_each_event_of_an_archive_once_in_order_of_time(kind: str, tmp_path: Path) -> None:
    location = str(tmp_path / "archive") if kind == "folder" else f"memory://{tmp_path.name}-reading"
    store = open_store(location)
    later = [(event, 10 + n) for n, event in enumerate(EVENTS[3:])]
    sent_twice = EVENTS[1]
    manifest = put(store, [later, [(event, n) for n, event in enumerate(EVENTS[:3])], [(sent_twice, 8)]])
    assert find_manifest(store) == manifest
    assert scan_events(store, manifest).collect().height == len(EVENTS) + 1
    assert scan_events(store, manifest, first_day=date(2025, 12, 1)).collect().height == 0
    with Source(Path(location), currency="USD") as source:
        assert (source.format_name, source.n_rows) == ("archive", len(EVENTS))
        assert list(source.read()) == EVENTS
        assert list(source.read(skip=4)) == EVENTS[4:]
    before = fingerprint(Path(location))
    put(store, [later], generation=2)
    assert fingerprint(Path(location)) != before


def test_what_is_no_archive_is_refused_by_its_reason(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormat, match="nor the folder of an archive"):
        Source(tmp_path, currency="EUR").open()
    with pytest.raises(UnknownFormat, match="without events"):
        Source(Path(f"memory://{tmp_path.name}-nothing"), currency="EUR").open()
    with pytest.raises(ArchiveError, match=r"in a folder or at one of s3, .*, got ftp://"):
        open_store("ftp://host/archive")
    with pytest.raises(ArchiveError, match="pip install gcsfs"):
        open_store("gs://bucket/archive")
    store = open_store(str(tmp_path))
    store.create(manifest_path(1), b'{"schema": 2}')
    with pytest.raises(UnknownFormat, match="schema must be 1, got 2: was a later version here"):
        Source(tmp_path, currency="EUR").open()
