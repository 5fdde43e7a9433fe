"""A component that keeps a value of every product and applies a topic of its own: units counted and sold.

A count is applied in the partition of its product, a sale in that of the visitor who bought. So what a
partition knows is a part, and readers add up what was sold.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgpack
import orjson

from contracts.alerts import Alert, AlertState, Severity
from contracts.clock import LIVE_SKEW_MS
from contracts.dead_letters import DeadLetter
from contracts.events import EventType
from contracts.fields import InvalidEvent, identifier
from contracts.subjects import Subject, SubjectKind, product
from restock.contracts import BUYERS, INVENTORY, LOWEST, RECENT, STOCK, STOCK_LOW, StockLow
from stream.alerts.rules import Firing
from stream.alerts.tracks import NO_TRACK, AlertTrack, close_alert, fire_alert, pack_track, unpack_track
from stream.batch.records import Record
from stream.batch.result import NO_CHANGE, Change
from stream.components.component import Applied, Fired, Source, SubjectValues, TopicComponent, TopicRecords
from stream.registry import Registry
from stream.state.writes import AppendToList, RaiseScores, RemoveMembers, SetScores, Write

TIMER = "restock"
"""Kind of timers: a product is short for as long as it may be."""
LOW_UNITS = 3
PATIENCE_MS = 60_000
"""An alert fires when a product has been short for so long (event time)."""
TTL_S = 90 * 86_400
MOST_BUYERS, MOST_RECENT = 100, 20


class Stock(NamedTuple):
    """What a partition knows of a product; `low_since_ms` is 0 while it is not short."""

    units: int | None = None
    counted_ms: int = 0
    sold: int = 0
    low_since_ms: int = 0
    live: bool = False
    """Whether the count that began the shortage arrived about when it was made."""
    alerts: AlertTrack = NO_TRACK


NOTHING_KNOWN = Stock()


class InventoryCount(NamedTuple):
    """One record of the topic: a count, or the dead letter it became. Times are in ms."""

    offset: int
    record_ms: int = 0
    product_id: str = ""
    units: int = 0
    at_ms: int = 0
    letter: DeadLetter | None = None


def pack_stock(stock: Stock) -> bytes:
    """The blob of a value."""
    blob: bytes = msgpack.packb((*stock[:-1], pack_track(stock.alerts)))
    return blob


def unpack_stock(blob: bytes) -> Stock:
    """The value in a blob."""
    *fields, track = msgpack.unpackb(blob)
    return Stock._make([*fields, unpack_track(track)])


class StockLevels(TopicComponent[None, Stock, InventoryCount]):
    """Keeps stock; the alert fires by a timer and is resolved by a count."""

    name = "stock"
    topic = INVENTORY
    timers = (TIMER,)
    wants_events = True
    values = SubjectValues(SubjectKind.PRODUCT, STOCK, TTL_S, pack_stock, unpack_stock)

    def subjects(self, applied: Applied[Stock]) -> set[str]:
        """See `Component.subjects`."""
        return {event.product_id for _, event in _sales(applied)}

    def apply(self, state: None, applied: Applied[Stock]) -> Change:
        """See `Component.apply`."""
        sold: Counter[str] = Counter()
        bought: Counter[str] = Counter()
        for user_id, event in _sales(applied):
            sold[event.product_id] += event.quantity
            bought[user_id] += event.quantity
        if not sold:
            return NO_CHANGE
        known = {id_: applied.values[id_] or NOTHING_KNOWN for id_ in sold}
        return Change(
            writes=[RaiseScores(BUYERS, bought, TTL_S, keep=MOST_BUYERS)],
            values={id_: stock._replace(sold=stock.sold + sold[id_]) for id_, stock in known.items()},
        )

    def read(self, records: Iterable[Record], source: Source) -> list[InventoryCount]:
        """See `TopicComponent.read`."""
        return [_read(record, source) for record in records]

    def record_subjects(self, items: Sequence[InventoryCount]) -> set[str]:
        """See `TopicComponent.record_subjects`."""
        return {item.product_id for item in items if item.letter is None}

    def apply_records(self, state: None, records: TopicRecords[InventoryCount, Stock]) -> Change:
        """The newest count of each product stands."""
        letters = [item.letter for item in records.items if item.letter is not None]
        counts = [item for item in records.items if item.letter is None]
        values: dict[str, Stock] = {}
        alerts: list[Alert] = []
        timers: dict[str, int] = {}
        for item in counts:
            stock = values.get(item.product_id) or records.values[item.product_id] or NOTHING_KNOWN
            if item.at_ms < stock.counted_ms:
                continue
            values[item.product_id], timer_ms, closed = _take(stock, item)
            alerts += closed
            if timer_ms is not None:
                timers[item.product_id] = timer_ms
        return Change(
            writes=_index(counts, values),
            values=values,
            alerts=alerts,
            timers={TIMER: timers},
            counters={"inventory": len(counts), "rejected": len(letters)},
            letters=letters,
        )

    def fire(self, state: None, fired: Fired[Stock]) -> Change:
        """An alert for each product that is still short."""
        values: dict[str, Stock] = {}
        alerts: list[Alert] = []
        for product_id in fired.subjects:
            stock = fired.values[product_id]
            if stock is None or stock.units is None or not stock.low_since_ms:
                continue
            severity = Severity.LOW if stock.units else Severity.HIGH
            detail = StockLow(stock.units, stock.low_since_ms)
            firing = Firing(stock.low_since_ms + PATIENCE_MS, severity, detail)
            track, told = fire_alert(
                stock.alerts, product(product_id), STOCK_LOW, firing, cooldown_ms=0, live=stock.live
            )
            values[product_id] = stock._replace(alerts=track)
            alerts += told
        return Change(values=values, alerts=alerts)

    def forget(self, state: None, subject: Subject) -> Change:
        """See `Component.forget`."""
        if subject.kind is SubjectKind.VISITOR:
            return Change(writes=[RemoveMembers(BUYERS, [subject.id])])
        if subject.kind is SubjectKind.PRODUCT:
            return Change(writes=[RemoveMembers(LOWEST, [subject.id])])
        return NO_CHANGE


def _sales(applied: Applied[Stock]) -> Iterable[tuple[str, Any]]:
    for user_id, _, events in applied.new_events:
        for event in events:
            if event.event_type is EventType.PURCHASE:
                yield user_id, event


def _take(stock: Stock, item: InventoryCount) -> tuple[Stock, int | None, list[Alert]]:
    """The stock after a count, the timer to set (0: to clear), and the alert that it closes."""
    stock = stock._replace(units=item.units, counted_ms=item.at_ms)
    if (item.units <= LOW_UNITS) == bool(stock.low_since_ms):
        return stock, None, []
    if item.units <= LOW_UNITS:
        live = item.record_ms - item.at_ms < LIVE_SKEW_MS
        return stock._replace(low_since_ms=item.at_ms, live=live), item.at_ms + PATIENCE_MS, []
    track, closed = close_alert(stock.alerts, AlertState.RESOLVED, item.at_ms)
    return stock._replace(low_since_ms=0, alerts=track), 0, closed


def _index(counts: Sequence[InventoryCount], values: Mapping[str, Stock]) -> list[Write]:
    if not counts:
        return []
    recent = [orjson.dumps([item.product_id, item.units, item.at_ms]) for item in counts]
    units = {id_: float(stock.units) for id_, stock in values.items() if stock.units is not None}
    return [SetScores(LOWEST, units, ttl_s=TTL_S), AppendToList(RECENT, recent, MOST_RECENT, TTL_S)]


def _read(record: Record, source: Source) -> InventoryCount:
    try:
        product_id, units, at_ms = _decode(record.value)
        if record.key != product_id.encode():
            raise InvalidEvent("key.not_product_id", "the record's key must be the product_id")
    except InvalidEvent as exc:
        letter = DeadLetter(
            exc.code, exc.detail, source.topic, source.partition, record.offset, record.key, record.value,
            source.now_ms,
        )  # fmt: skip
        return InventoryCount(record.offset, letter=letter)
    return InventoryCount(record.offset, record.timestamp, product_id, units, at_ms)


def _decode(raw: bytes | None) -> tuple[str, int, int]:
    try:
        fields = orjson.loads(raw or b"")
        product_id, units, at_ms = (fields[name] for name in ("product_id", "units", "at"))
    except (ValueError, TypeError, KeyError) as exc:
        raise InvalidEvent("inventory.not_count", "must be JSON with product_id, units and at") from exc
    if type(units) is not int or units < 0 or type(at_ms) is not int or at_ms < 0:
        raise InvalidEvent("inventory.not_numbers", "units and at (epoch ms) must be integers from 0 up")
    return identifier("product_id", product_id), units, at_ms


def register(registry: Registry) -> None:
    """Register it."""
    registry.add(StockLevels())
