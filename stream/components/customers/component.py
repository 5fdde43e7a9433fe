"""Customers: their partition keeps a record of each from what the partitions of their devices report."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from contracts.customers import (
    Bought,
    Customer,
    CustomerOrderLine,
    CustomerReport,
    ReportKind,
    check_customer,
    decode_report,
    encode_report,
    pack_customer,
    unpack_customer,
)
from contracts.dead_letters import DeadLetter
from contracts.event_ids import content_id
from contracts.events import NOBODY, Event, EventType, InvalidEvent, Statement, encode
from contracts.key_families import CUSTOMER
from contracts.order_lines import event_key
from contracts.settings import Settings
from contracts.subjects import SubjectKind
from contracts.topics import CUSTOMERS, EVENT_TOPICS
from stream.batch.core import Core
from stream.batch.entries import CountedLine
from stream.batch.records import Record
from stream.batch.result import NO_CHANGE, Change, OutgoingRecord
from stream.components.component import (
    Applied,
    Source,
    StateReader,
    SubjectValues,
    TopicComponent,
    TopicRecords,
)
from stream.components.customers.record import add_report, others_of
from stream.components.forgotten import read_cuts
from stream.components.letters import letter_of

PURCHASES = EVENT_TOPICS[-1]


class ReportRecord(NamedTuple):
    """One record of the topic on its way through the stream."""

    offset: int
    report: CustomerReport | None
    letter: DeadLetter | None = None


class Customers(TopicComponent[None, Customer, ReportRecord]):
    """Reports logins and purchases to customers' partitions, and keeps what is reported to this one.

    A purchase of a visitor who is the customer is in the right partition already, and needs no record.
    """

    name = "customers"
    topic = CUSTOMERS
    is_read_at_claim = True

    def __init__(self, settings: Settings, core: Core) -> None:
        self._add_own = core.of(add_own)
        self._secret = settings.deletion_secret.get_secret_value()
        self.values = SubjectValues(
            SubjectKind.CUSTOMER,
            CUSTOMER,
            settings.customer_ttl_s,
            core.of(pack_customer),
            unpack_customer,
            check_customer,
        )

    def subjects(self, applied: Applied[Customer]) -> Collection[str]:
        """See `Component.subjects`."""
        counts = applied.counts
        bought = {line.event.user_id for line in counts.purchases if line.event.customer_id is None}
        return bought.union([event.user_id for event in counts.refunds if event.customer_id is None])

    def apply(self, state: None, applied: Applied[Customer]) -> Change:
        """See `Component.apply`."""
        counts = applied.counts
        if not applied.reports and not counts.purchases and not counts.refunds:
            return NO_CHANGE
        reports = [*applied.reports]
        for event, key in _with_keys(counts.purchases, counts.refunds):
            if event.customer_id is not None and event.customer_id not in NOBODY:
                reports.append(_report_of(event, key, event.customer_id))
        values, notices = self._add_own(counts.purchases, counts.refunds, applied.values)
        return Change(values=values, records=[*map(_record_of, reports), *notices])

    def read(self, records: Iterable[Record], source: Source) -> list[ReportRecord]:
        """See `TopicComponent.read`."""
        return [_read(record, source) for record in records]

    def record_subjects(self, items: Sequence[ReportRecord]) -> set[str]:
        """See `TopicComponent.record_subjects`."""
        return {item.report.customer_id for item in items if item.report is not None}

    async def look_up(
        self, state: None, items: Sequence[ReportRecord], reader: StateReader
    ) -> Mapping[str, int]:
        """Until when reports of customers who were deleted are kept out."""
        return await read_cuts(reader, self.record_subjects(items), self._secret)

    def apply_records(self, state: None, records: TopicRecords[ReportRecord, Customer]) -> Change:
        """See `TopicComponent.apply_records`."""
        cuts: Mapping[str, int] = records.looked_up
        sent = [item.report for item in records.items if item.report is not None]
        reports = [report for report in sent if report.at_ms > cuts.get(report.customer_id, 0)]
        letters = [item.letter for item in records.items if item.letter is not None]
        values, notices = add_reports(reports, records.values)
        counters = {"rejected": len(letters), "forgotten": len(sent) - len(reports)}
        return Change(values=values, records=notices, counters=counters, letters=letters)


def add_own(
    lines: Sequence[CountedLine], refunds: Sequence[Event], values: Mapping[str, Customer | None]
) -> tuple[dict[str, Customer], list[OutgoingRecord]]:
    """Customers that change, and what is sent to their devices, by what visitors did who are customers."""
    own = [
        _report_of(event, key, event.user_id)
        for event, key in _with_keys(lines, refunds)
        if event.customer_id is None
    ]
    return add_reports(own, values)


def _with_keys(lines: Sequence[CountedLine], refunds: Sequence[Event]) -> Iterator[tuple[Event, str]]:
    """Purchases and refunds with what distinguishes each from all other events."""
    yield from [(line.event, line.key) for line in lines]
    yield from [(event, event_key(event)) for event in refunds]


def add_reports(
    reports: Sequence[CustomerReport], values: Mapping[str, Customer | None]
) -> tuple[dict[str, Customer], list[OutgoingRecord]]:
    """Customers that change, and what is sent to their other devices of new purchases."""
    changed: dict[str, Customer] = {}
    notices: list[OutgoingRecord] = []
    for report in reports:
        known = changed.get(report.customer_id) or values.get(report.customer_id)
        after = add_report(known, report)
        if after is None or after is known:
            continue
        changed[report.customer_id] = after
        if report.kind is ReportKind.PURCHASE and report.bought is not None:
            for device_id in _elsewhere(after, report):
                notices.append(_notice(report.customer_id, report.at_ms, report.bought, device_id))
        elif report.kind is ReportKind.LOGIN:
            notices += _notices_since(report, after)
    return changed, notices


def _elsewhere(customer: Customer, report: CustomerReport) -> list[str]:
    """Where carts are to be closed: on the other devices, and under the customer's own id."""
    others = others_of(customer, report.visitor_id)
    if not customer.devices or report.customer_id in (report.visitor_id, *others):
        return others
    return [*others, report.customer_id]


def _notice(
    customer_id: str, at_ms: int, bought: Bought | CustomerOrderLine, device_id: str
) -> OutgoingRecord:
    """That the customer has bought this elsewhere, for a device on which it may lie in the cart."""
    event_id = content_id("bought elsewhere", device_id, bought.event)
    kind = Statement.BOUGHT_ELSEWHERE
    event = Event(event_id, kind, at_ms, device_id, bought.product_id, customer_id=customer_id)
    return OutgoingRecord(PURCHASES, device_id, event_id, encode(event))


def _notices_since(login: CustomerReport, customer: Customer) -> Iterator[OutgoingRecord]:
    """What was bought elsewhere after a login that was reported later than the purchase."""
    for order in customer.orders:
        if order.at_ms >= login.at_ms and order.visitor_id != login.visitor_id:
            for line in order.lines:
                yield _notice(login.customer_id, order.at_ms, line, login.visitor_id)


def _report_of(event: Event, key: str, customer_id: str) -> CustomerReport:
    bought = Bought(key, event.order_id, event.product_id, event.quantity, event.price_minor, event.currency)
    kind = ReportKind.REFUND if event.event_type is EventType.REFUND else ReportKind.PURCHASE
    return CustomerReport(kind, customer_id, event.user_id, event.event_time_ms, bought)


def _record_of(report: CustomerReport) -> OutgoingRecord:
    value = encode_report(report)
    return OutgoingRecord(CUSTOMERS, report.customer_id, content_id(value.decode()), value)


def _read(record: Record, source: Source) -> ReportRecord:
    try:
        return ReportRecord(record.offset, decode_report(record.value))
    except InvalidEvent as exc:
        return ReportRecord(record.offset, None, letter_of(record, source, exc))
