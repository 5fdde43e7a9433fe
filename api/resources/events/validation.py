"""What becomes of each element of a request: a record for Kafka, or the rule it breaks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from api.identity.claims import check_claim
from api.identity.principal import ANYONE, Principal
from api.resources.events.free_fields import Cleaner
from api.resources.events.privacy_signals import (
    CONSENT_FIELDS,
    NO_OBJECTION,
    Objection,
    anonymise,
    denies_consent,
)
from api.resources.events.receipts import Dedupe, Refusal
from contracts.event_ids import derive_id
from contracts.event_versions import upcast
from contracts.events import MAX_EVENT_BYTES, Event, EventType, encode, from_fields, statement_in
from contracts.fields import InvalidEvent, identifier, kind_of, parse_time
from contracts.orders import split_items

MAX_RECORDS = 10_000
"""Events with items become a record per item; an event that begins beyond this many is refused."""


class Record(NamedTuple):
    """An event that follows the contract, and its bytes for Kafka."""

    event: Event
    value: bytes
    is_anonymous: bool = False
    """Its visitor objects: nothing may tell who or where they were."""


class ValidationContext(NamedTuple):
    """What the verdicts depend on beside the elements; a missing `event_time` becomes `received_ms`."""

    received_ms: int
    default_currency: str
    clock_offset_ms: int = 0
    """Added to the sender's times."""
    objection: Objection = NO_OBJECTION
    principal: Principal = ANYONE


@dataclass(slots=True)
class ValidatedEvents:
    """The events of one request: records in the order they came, refusals, and the numbers of the others.

    An event counts once, however many records it becomes.
    """

    records: list[Record] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    accepted: int = 0
    duplicates: int = 0
    dropped: int = 0
    redacted: int = 0
    dedupe: Dedupe = Dedupe.EVENT_ID


def validate(elements: Sequence[Any], context: ValidationContext) -> ValidatedEvents:
    """Holds each element against the event contract, and against what else a sender must keep to."""
    validated = ValidatedEvents()
    seen: set[tuple[str, str]] = set()
    for index, element in enumerate(elements):
        try:
            if len(validated.records) >= MAX_RECORDS:
                raise InvalidEvent("items.too_many_in_all", f"a request can have at most {MAX_RECORDS} items")
            records, n_redacted = _take(element, context)
        except InvalidEvent as exc:
            refusal = Refusal(index=index, code=exc.code, detail=exc.detail, event_id=_valid_id(element))
            validated.refusals.append(refusal)
            continue
        if not records:
            validated.dropped += 1
            continue
        event = records[0].event
        known = (event.user_id, event.event_id)
        if known in seen:
            validated.duplicates += 1
            continue
        seen.add(known)
        validated.accepted += 1
        validated.records += records
        if n_redacted:
            validated.redacted += 1
        is_order = (
            isinstance(event, Event) and event.event_type is EventType.PURCHASE and event.order_id is not None
        )
        if element.get("event_id") is None and not is_order and validated.dedupe is not Dedupe.NONE:
            validated.dedupe = Dedupe.NONE if element.get("event_time") is None else Dedupe.DERIVED
    return validated


def _take(element: Any, context: ValidationContext) -> tuple[Sequence[Record], int]:
    """The records of one element, and how many texts in it were replaced.

    There are no records if its visitor objects and such events are dropped.
    """
    if type(element) is not dict:
        if isinstance(element, InvalidEvent):
            raise element
        raise InvalidEvent("event.not_object", f"must be a JSON object, got {kind_of(element)}")
    fields = upcast(element)
    objection, is_anonymous = context.objection, False
    if objection.mode != "ignore" and (
        objection.is_general or (not CONSENT_FIELDS.isdisjoint(fields) and denies_consent(fields))
    ):
        if objection.mode == "drop":
            return (), 0
        fields = anonymise(fields, objection.salt)
        is_anonymous = True
    if fields.get("event_time") is None:
        fields = {**fields, "event_time": context.received_ms}
        if context.clock_offset_ms:
            context = context._replace(clock_offset_ms=0)
    if "items" not in fields:
        record, n_redacted = _to_record(fields, context, is_anonymous)
        return (record,), n_redacted
    lines = split_items(fields, default_currency=context.default_currency)
    pairs = [_to_record(line, context, is_anonymous) for line in lines]
    return [record for record, _ in pairs], sum(n for _, n in pairs)


def _to_record(fields: dict[str, Any], context: ValidationContext, is_anonymous: bool) -> tuple[Record, int]:
    event = _to_event(fields, context)
    n_redacted = 0
    if event.extra is not None:
        cleaner = Cleaner(len(fields) - len(event.extra))
        cleaner.clean(event.extra)
        n_redacted = cleaner.redacted
    if not context.principal.may_purchase:
        check_claim(context.principal, event.event_type)
    statement = statement_in(event)
    if statement is not None and statement.is_internal:
        raise InvalidEvent("event_type.unknown", f"{statement.value} is reserved for Storepulse itself")
    value = encode(event)
    if len(value) > MAX_EVENT_BYTES:  # the stream would refuse it, after we said it was taken
        raise InvalidEvent("event.too_large", f"must be at most {MAX_EVENT_BYTES} bytes, got {len(value)}")
    return Record(event, value, is_anonymous), n_redacted


def _to_event(fields: dict[str, Any], context: ValidationContext) -> Event:
    """The event, its time by our clock; a derived id is of what was sent, or no repetition would have it."""
    offset_ms = context.clock_offset_ms
    if not offset_ms:
        return from_fields(fields, received_ms=context.received_ms, default_currency=context.default_currency)
    time = fields.get("event_time")
    time_ms = time if type(time) is int else parse_time(time)
    event = from_fields(
        {**fields, "event_time": time_ms + offset_ms},
        received_ms=context.received_ms,
        default_currency=context.default_currency,
    )
    return event if fields.get("event_id") is not None else event._replace(event_id=derive_id(fields))


def any_consent(elements: Iterable[Any]) -> bool:
    """Whether some element might say something of consent."""
    return any(type(element) is dict and not CONSENT_FIELDS.isdisjoint(element) for element in elements)


def _valid_id(element: Any) -> str | None:
    if type(element) is not dict or "event_id" not in element:
        return None
    try:
        return identifier("event_id", element["event_id"])
    except InvalidEvent:
        return None
