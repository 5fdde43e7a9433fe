"""The way of one request's events from its body to Kafka, whatever their form was."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

from fastapi import Request

from api.http.bodies import bad_body, check_charset, check_length, is_gzip, read_body
from api.http.connection_limiter import ConnectionLimiter
from api.http.errors import Problem
from api.http.metrics import ApiMetrics
from api.identity.guard import spend_events
from api.identity.principal import Principal
from api.resources.events.clock_skew import ClientClocks, clock_offset_ms
from api.resources.events.in_flight import InFlightEvents
from api.resources.events.ip_addresses import truncate_address
from api.resources.events.kafka_producer import Headers
from api.resources.events.payloads import Payload
from api.resources.events.privacy_signals import (
    NO_OBJECTION,
    Objection,
    denies_consent,
    objects_by_header,
)
from api.resources.events.publisher import EventPublisher
from api.resources.events.refused_events import RefusalReports, Sender
from api.resources.events.salts import Salts
from api.resources.events.tail_publisher import Notice, TailPublisher
from api.resources.events.validation import ValidatedEvents, ValidationContext, any_consent, validate
from api.services import services_of
from contracts.clock import wall_clock_ms
from contracts.fields import InvalidEvent
from contracts.senders import client_of_agent
from readers.reader import Reader

_MAX_TAILS = 16
_MAX_TAILS_PER_KEY = 4


class Ingestion:
    """What all requests with events share in one process."""

    def __init__(self, reader: Reader, publisher: EventPublisher, metrics: ApiMetrics) -> None:
        settings = reader.settings
        self.settings = settings
        self.publisher = publisher
        self.refusals = RefusalReports(publisher, metrics.count_refusal)
        self.metrics = metrics
        self.in_flight = InFlightEvents(
            settings.api_max_waiting_events, settings.api_max_waiting_bytes, metrics
        )
        self.salts = Salts(reader.redis, reader.keys)
        self.feed = TailPublisher(reader.redis, reader.keys)
        self.clocks = ClientClocks()
        self.tail_limiter = ConnectionLimiter(_MAX_TAILS, _MAX_TAILS_PER_KEY)

    async def close(self) -> None:
        """Ends what still runs."""
        await self.feed.close()


class IngestResult(NamedTuple):
    """What became of a request's events."""

    validated: ValidatedEvents
    clock_offset_ms: int
    dry_run: bool


class EventRequest:
    """One request with events. Use it in a `with`: its events are no more in flight at the end.

    First `read` the body, then `ingest` what is in it; `ingest` may do without `read`.
    """

    __slots__ = (
        "_headers",
        "_ingestion",
        "_n_bytes",
        "_n_events",
        "_principal",
        "_request",
        "received_ms",
        "request_id",
    )

    def __init__(self, request: Request) -> None:
        self._request = request
        self._ingestion = services_of(request.app).get(Ingestion)
        self._headers: dict[bytes, bytes] = dict(request.scope["headers"])
        self.request_id: str = request.scope["state"]["request_id"]
        self._principal: Principal | None = None
        self._n_events = 0
        self._n_bytes = 0
        self.received_ms = wall_clock_ms()

    @property
    def content_type(self) -> str:
        """What the body says it is; empty if nothing."""
        return self._header(b"content-type")

    def __enter__(self) -> "EventRequest":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._n_bytes or self._n_events:
            self._ingestion.in_flight.remove(self._n_events, self._n_bytes)
        if not isinstance(error, Problem):
            return
        if self._principal is not None:
            self._ingestion.feed.offer(self._notice(None, dry_run=False, problem=error))
        key_id = getattr(self._request.state, "key_id", "")
        self._ingestion.refusals.report_request(self._sender(key_id), error, self.received_ms)

    async def read(self) -> bytes:
        """The body, decompressed; raises `Problem` if it cannot be had or is too much."""
        check_length(self._header(b"content-length"))
        gzip = is_gzip(self._header(b"content-encoding"))
        body = await read_body(self._request.receive, gzip=gzip, take=self._add_bytes)
        self._ingestion.metrics.count_body(len(body))
        check_charset(self.content_type, body)
        return body

    async def ingest(self, principal: Principal, payload: Payload, *, dry_run: bool = False) -> IngestResult:
        """Judges the events and, unless it is a dry run, returns when Kafka has those that passed.

        That all are refused is no error here. Raises `Problem` 400 for a `sent_at` that is no time, 429 where
        a quota is spent, 503 where Kafka does not acknowledge or too much waits for it.
        """
        self._principal = principal
        context = await self._context(principal, payload)
        validated = validate(payload.elements, context)
        if validated.records and not dry_run:
            await self._publish(principal, validated)
        self._count(validated, dry_run=dry_run)
        if validated.refusals and not dry_run:
            sender = self._sender(principal.key_id, payload.source)
            self._ingestion.refusals.report_events(
                sender, payload.elements, validated.refusals, self.received_ms
            )
        self._ingestion.feed.offer(self._notice(validated, dry_run=dry_run, source=payload.source))
        return IngestResult(validated, context.clock_offset_ms, dry_run)

    async def _publish(self, principal: Principal, validated: ValidatedEvents) -> None:
        records = validated.records
        await spend_events(self._request, principal, len(records))
        try:
            self._add_events(len(records))
            await self._ingestion.publisher.publish(records, *self._record_headers(principal))
        except Problem as problem:
            self._ingestion.metrics.count_events("unacknowledged", problem.code, validated.accepted)
            raise

    def _count(self, validated: ValidatedEvents, *, dry_run: bool) -> None:
        count = self._ingestion.metrics.count_events
        if dry_run:
            count("valid", n_events=validated.accepted)
            return
        count("accepted", n_events=validated.accepted)
        if validated.duplicates:
            count("duplicate", n_events=validated.duplicates)
        if validated.dropped:
            count("dropped", n_events=validated.dropped)
        for refusal in validated.refusals:
            count("rejected", refusal.code)

    async def _context(self, principal: Principal, payload: Payload) -> ValidationContext:
        ingestion = self._ingestion
        sent_at = payload.sent_at if payload.sent_at is not None else _sent_at_of(self._header(b"x-sent-at"))
        try:
            offset_ms = clock_offset_ms(sent_at, self.received_ms)
        except InvalidEvent as exc:
            raise bad_body(exc.code, exc.detail) from None
        if sent_at is not None:
            offset_ms = ingestion.clocks.correct(self._client_of(principal, payload), offset_ms)
        mode = ingestion.settings.privacy_signal_mode
        objection = NO_OBJECTION
        if mode != "ignore":
            is_general = objects_by_header(self._headers) or denies_consent({"consent": payload.consent})
            if is_general or any_consent(payload.elements):
                objection = Objection(
                    mode, await ingestion.salts.get() if mode == "anonymise" else b"", is_general
                )
        return ValidationContext(
            self.received_ms, ingestion.settings.currency, offset_ms, objection, principal
        )

    def _sender(self, key_id: str | None, source: str = "") -> Sender:
        """Who sends, by the source of the payload or the key, and the user agent unless a library told."""
        client = None if ":" in source else client_of_agent(self._header(b"user-agent"))
        return Sender(source, key_id or "", client)

    def _client_of(self, principal: Principal, payload: Payload) -> tuple[str | None, ...]:
        """Who sends, as far as can be told: the key, the address, and whose the first event is."""
        host = None if self._request.client is None else self._request.client.host
        first = next((element for element in payload.elements if type(element) is dict), {})
        visitor = first.get("anonymous_id") or first.get("user_id")
        return principal.key_id, host, visitor if type(visitor) is str else None

    def _record_headers(self, principal: Principal) -> tuple[Headers, Headers]:
        """What Kafka is told beside an event: by whom, when and from which network; without that of some."""
        request = self._request
        headers = [
            ("request_id", self.request_id.encode()),
            ("received_ms", b"%d" % self.received_ms),
        ]
        if principal.key_id:
            headers.append(("key_id", principal.key_id.encode()))
        network = None if request.client is None else truncate_address(request.client.host)
        return (headers if network is None else [*headers, ("client_network", network.encode())]), headers

    def _add_bytes(self, n_bytes: int) -> None:
        self._ingestion.in_flight.add(0, n_bytes)
        self._n_bytes += n_bytes

    def _add_events(self, n_events: int) -> None:
        self._ingestion.in_flight.add(n_events, 0)
        self._n_events += n_events

    def _notice(
        self,
        validated: ValidatedEvents | None,
        *,
        dry_run: bool,
        problem: Problem | None = None,
        source: str = "",
    ) -> Notice:
        key_id = "" if self._principal is None else self._principal.key_id
        return Notice(self.received_ms, self.request_id, key_id, dry_run, validated, problem, source)

    def _header(self, name: bytes) -> str:
        """The header as text; empty if it is not there."""
        return self._headers.get(name, b"").decode("latin-1")


def receipt_of(request_id: str, result: IngestResult) -> dict[str, Any]:
    """The members of `api.resources.events.receipts.Receipt`."""
    validated = result.validated
    return {
        "request_id": request_id,
        "accepted": validated.accepted,
        "duplicates": validated.duplicates,
        "rejected": len(validated.refusals),
        "dropped": validated.dropped,
        "dedupe": validated.dedupe.value,
        "redacted": validated.redacted,
        "clock_offset_ms": result.clock_offset_ms,
        "dry_run": result.dry_run,
        "errors": refusals_of(validated),
    }


def refusals_of(validated: ValidatedEvents) -> Sequence[dict[str, Any]]:
    """The members of `api.resources.events.receipts.Refusal`, one per event that was refused."""
    return [refusal.model_dump() for refusal in validated.refusals]


def _sent_at_of(header: str) -> object:
    """The time in `X-Sent-At`, as a batch would have it: an integer or a text; None if it is empty."""
    text = header.strip()
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text
