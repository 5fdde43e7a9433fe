"""Orders of the whole shop: the owner of an order hears of all that partitions counted of it."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from contracts.dead_letters import DeadLetter
from contracts.event_ids import content_id
from contracts.events import Event
from contracts.fields import InvalidEvent
from contracts.key_families import CURRENCIES, ORDER, PRODUCT_BUCKETS, SHOP_BUCKETS
from contracts.numbers import MAX_SUM_MINOR
from contracts.order_lines import event_key
from contracts.order_reports import (
    MAX_REPORTS_IN_RECORD,
    LineReport,
    OrderReport,
    RefundReport,
    decode_reports,
    encode_reports,
    key_of_partition,
)
from contracts.partitioning import partition_of
from contracts.settings import Settings
from contracts.shapes import require
from contracts.topics import ORDERS
from contracts.visitor import digest_of
from stream.batch.core import Core
from stream.batch.counts import BucketCounts, Counts
from stream.batch.entries import CountedLine
from stream.batch.records import Record
from stream.batch.result import NO_CHANGE, Change, OutgoingRecord
from stream.components.component import Applied, Source, SubjectValues, TopicComponent, TopicRecords
from stream.components.demand import Lifetimes, bucket_writes, shop_lifetimes
from stream.components.letters import letter_of
from stream.components.orders.orders import (
    MAX_REPORTS,
    UNKNOWN,
    Effects,
    Order,
    change_of,
    pack_order,
    standing_lines,
    unpack_order,
)
from stream.state.writes import AddToSet, Write


class ReportsRecord(NamedTuple):
    """One record of the topic on its way through the stream."""

    offset: int
    reports: Sequence[OrderReport] = ()
    letter: DeadLetter | None = None


class Orders(TopicComponent[None, Order, ReportsRecord]):
    """Reports to owners of orders what was counted, and corrects what was counted of orders it owns.

    A visitor's partition counts an order at once, and knows that visitor's orders. Where another visitor
    sends it too, the owner of the order takes that back. Refunds are counted by the owner alone, who knows
    what was paid.
    """

    name = "orders"
    topic = ORDERS

    def __init__(self, settings: Settings, core: Core) -> None:
        self._partitions = settings.partitions
        self._records_of, self._decode = core.of(records_of), core.of(decode_reports)
        self._shop: Lifetimes = shop_lifetimes(settings)
        self._products: Lifetimes = self._shop | {"minute": settings.product_minute_ttl_s}
        self.values = SubjectValues(
            None, ORDER, settings.order_ttl_s, core.of(pack_order), unpack_order, partial(require, kind=Order)
        )

    def apply(self, state: None, applied: Applied[Order]) -> Change:
        """See `Component.apply`."""
        counts = applied.counts
        if not counts.purchases and not counts.refunds:
            return NO_CHANGE
        return Change(records=self._records_of(counts, self._partitions))

    def read(self, records: Iterable[Record], source: Source) -> list[ReportsRecord]:
        """See `TopicComponent.read`."""
        return [self._read(record, source) for record in records]

    def _read(self, record: Record, source: Source) -> ReportsRecord:
        try:
            return ReportsRecord(record.offset, self._decode(record.value))
        except InvalidEvent as exc:
            return ReportsRecord(record.offset, letter=letter_of(record, source, exc))

    def record_subjects(self, items: Sequence[ReportsRecord]) -> set[str]:
        """See `TopicComponent.record_subjects`."""
        return {report.key for item in items for report in item.reports}

    def apply_records(self, state: None, records: TopicRecords[ReportsRecord, Order]) -> Change:
        """What the reports change: each event counts once, however often it is reported."""
        known: dict[str, Order] = {}
        overflow = 0
        for item in records.items:
            for key, content in item.reports:
                order = known.get(key) or records.values[key] or UNKNOWN
                if order.knows(content.event):
                    continue
                if order.size >= MAX_REPORTS:
                    overflow += 1
                    continue
                known[key] = order.add(content)
        changes = [
            (records.values[key] or UNKNOWN, order)
            for key, order in known.items()
            if len(order.lines) > 1 or order.refunds  # others were counted as they came
        ]
        letters = [item.letter for item in records.items if item.letter is not None]
        return Change(
            writes=self._writes_of(changes, records.clock.max_event_ms),
            values=known,
            counters={
                "orders_repeated": sum(
                    max(0, _taken_back(after) - _taken_back(before)) for before, after in changes
                ),
                "orders_overflow": overflow,
                "rejected": len(letters),
            },
            letters=letters,
        )

    def _writes_of(self, changes: Sequence[tuple[Order, Order]], now_ms: int) -> list[Write]:
        products: BucketCounts = {}
        shop: BucketCounts = {}
        currencies = set()
        for before, after in changes:
            if effects := change_of(before, after):
                _spread(effects, products, shop)
            currencies |= {refund.currency for refund in after.refunds if refund.currency is not None}
        writes: list[Write] = [
            *bucket_writes(PRODUCT_BUCKETS, products, self._products, now_ms),
            *bucket_writes(SHOP_BUCKETS, shop, self._shop, now_ms),
        ]
        return [*writes, AddToSet(CURRENCIES, currencies)] if currencies else writes


def records_of(counts: Counts, partitions: int) -> list[OutgoingRecord]:
    """The records that tell owners of what was counted in a batch."""
    by_owner: dict[int, list[OrderReport]] = {}
    for report in reports_of(counts):
        by_owner.setdefault(partition_of(report.key, partitions), []).append(report)
    records = []
    for owner, reports in by_owner.items():
        for at in range(0, len(reports), MAX_REPORTS_IN_RECORD):
            value = encode_reports(reports[at : at + MAX_REPORTS_IN_RECORD])
            records.append(record_of(owner, partitions, value))
    return records


def record_of(owner: int, partitions: int, value: bytes) -> OutgoingRecord:
    """A record for the partition that owns the orders in it."""
    return OutgoingRecord(ORDERS, key_of_partition(owner, partitions), content_id(value.decode()), value)


def reports_of(counts: Counts) -> Iterator[OrderReport]:
    """What is to be reported of a batch."""
    for line in counts.purchases:
        if line.event.order_id is not None:  # without one, nobody else can send it
            yield OrderReport(line.event.order_id, _line_report(line))
    for event in counts.refunds:
        key = event.order_id if event.order_id is not None else f"\n{event.event_id}"
        yield OrderReport(key, RefundReport(event_key(event), *_plain(event)))


def _line_report(line: CountedLine) -> LineReport:
    event = line.event
    visitor = digest_of(f"{event.order_id}\n{event.user_id}").hex()
    return LineReport(line.key, *_plain(event), line.line.hex(), visitor, line.changes)


def _plain(event: Event) -> tuple[int, str, int, int | None, str | None]:
    return event.event_time_ms, event.product_id, event.quantity, event.price_minor, event.currency


def _taken_back(order: Order) -> int:
    if len(order.lines) < 2:  # nearly every order
        return 0
    return len(order.lines) - len(standing_lines(order.lines))


def _spread(effects: Effects, products: BucketCounts, shop: BucketCounts) -> None:
    for (minute_ms, metric, product), number in effects.items():
        fields = (products if product else shop).setdefault(minute_ms, {})
        name = f"{metric}:{product}" if product else metric
        fields[name] = max(-MAX_SUM_MINOR, min(fields.get(name, 0) + number, MAX_SUM_MINOR))
