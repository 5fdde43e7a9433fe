"""The way of one request's events from its body to Kafka, whatever their form was."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple

from fastapi import Request

from api.http.bodies import bad_body, check_length, is_gzip, read_body
from api.http.connection_limiter import Seats
from api.http.errors import Problem
from api.http.metrics import ApiMetrics
from api.identity.guard import spend_events
from api.identity.principal import Principal
from api.resources.events.clock_skew import clock_offset_ms
from api.resources.events.in_flight import Backlog
from api.resources.events.ip_addresses import truncate_address
from api.resources.events.kafka_producer import Headers
from api.resources.events.payloads import Parcel
from api.resources.events.privacy_signals import Objection, denies_consent, objects_by_header
from api.resources.events.publisher import Collector
from api.resources.events.salts import Salts
from api.resources.events.tail_publisher import EventFeed, Notice
from api.resources.events.validation import Rules, Verdict, any_consent, judge
from contracts.clock import wall_clock_ms
from contracts.fields import InvalidEvent
from readers.reader import Reader

_MAX_TAILS = 16
_MAX_TAILS_PER_KEY = 4


class Door:
    """What all requests with events share in one process."""

    def __init__(self, reader: Reader, collector: Collector, metrics: ApiMetrics) -> None:
        settings = reader.settings
        self.settings = settings
        self.collector = collector
        self.metrics = metrics
        self.backlog = Backlog(settings.api_max_waiting_events, settings.api_max_waiting_bytes, metrics)
        self.salts = Salts(reader.redis, reader.keys)
        self.feed = EventFeed(reader.redis, reader.keys)
        self.tail_seats = Seats(_MAX_TAILS, _MAX_TAILS_PER_KEY)

    async def close(self) -> None:
        """Ends what still runs."""
        await self.feed.close()


class Outcome(NamedTuple):
    """What became of a request's events."""

    verdict: Verdict
    clock_offset_ms: int
    dry_run: bool


class Admission:
    """One request with events. Use it in a `with`: its place in the backlog is given back at the end.

    First `read` the body, then `admit` what is in it; `admit` may do without `read`.
    """

    __slots__ = (
        "_door",
        "_headers",
        "_n_bytes",
        "_n_events",
        "_principal",
        "_request",
        "received_ms",
        "request_id",
    )

    def __init__(self, request: Request) -> None:
        self._request = request
        self._door: Door = request.app.state.door
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

    def __enter__(self) -> "Admission":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._n_bytes or self._n_events:
            self._door.backlog.remove(self._n_events, self._n_bytes)
        if isinstance(error, Problem) and self._principal is not None:
            self._door.feed.offer(self._notice(None, dry_run=False, problem=error))

    async def read(self) -> bytes:
        """The body, decompressed; raises `Problem` if it cannot be had or is too much."""
        check_length(self._header(b"content-length"))
        gzip = is_gzip(self._header(b"content-encoding"))
        body = await read_body(self._request.receive, gzip=gzip, take=self._add_bytes)
        self._door.metrics.count_body(len(body))
        return body

    async def admit(self, principal: Principal, parcel: Parcel, *, dry_run: bool = False) -> Outcome:
        """Judges the events and, unless it is a dry run, returns when Kafka has those that passed.

        That all are refused is no error here. Raises `Problem` 400 for a `sent_at` that is no time, 429 where
        a quota is spent, 503 where Kafka does not acknowledge or too much waits for it.
        """
        self._principal = principal
        rules = await self._rules(principal, parcel)
        verdict = judge(parcel.elements, rules)
        if verdict.records and not dry_run:
            await self._publish(principal, verdict)
        self._count(verdict, dry_run=dry_run)
        self._door.feed.offer(self._notice(verdict, dry_run=dry_run))
        return Outcome(verdict, rules.clock_offset_ms, dry_run)

    async def _publish(self, principal: Principal, verdict: Verdict) -> None:
        records = verdict.records
        await spend_events(self._request, principal, len(records))
        try:
            self._add_events(len(records))
            await self._door.collector.publish(records, *self._record_headers(principal))
        except Problem as problem:
            self._door.metrics.count_events("unacknowledged", problem.code, verdict.accepted)
            raise

    def _count(self, verdict: Verdict, *, dry_run: bool) -> None:
        count = self._door.metrics.count_events
        if dry_run:
            count("valid", n_events=verdict.accepted)
            return
        count("accepted", n_events=verdict.accepted)
        if verdict.duplicates:
            count("duplicate", n_events=verdict.duplicates)
        if verdict.dropped:
            count("dropped", n_events=verdict.dropped)
        for refusal in verdict.refusals:
            count("rejected", refusal.code)

    async def _rules(self, principal: Principal, parcel: Parcel) -> Rules:
        door = self._door
        sent_at = parcel.sent_at if parcel.sent_at is not None else _sent_at_of(self._header(b"x-sent-at"))
        try:
            offset_ms = clock_offset_ms(sent_at, self.received_ms)
        except InvalidEvent as exc:
            raise bad_body(exc.code, exc.detail) from None
        mode = door.settings.privacy_signal_mode
        objection = Objection("ignore")
        if mode != "ignore":
            is_general = objects_by_header(self._headers) or denies_consent({"consent": parcel.consent})
            if is_general or any_consent(parcel.elements):
                objection = Objection(
                    mode, await door.salts.get() if mode == "anonymise" else b"", is_general
                )
        return Rules(self.received_ms, door.settings.currency, offset_ms, objection, principal)

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
        self._door.backlog.add(0, n_bytes)
        self._n_bytes += n_bytes

    def _add_events(self, n_events: int) -> None:
        self._door.backlog.add(n_events, 0)
        self._n_events += n_events

    def _notice(self, verdict: Verdict | None, *, dry_run: bool, problem: Problem | None = None) -> Notice:
        key_id = "" if self._principal is None else self._principal.key_id
        return Notice(self.received_ms, self.request_id, key_id, dry_run, verdict, problem)

    def _header(self, name: bytes) -> str:
        """The header as text; empty if it is not there."""
        return self._headers.get(name, b"").decode("latin-1")


def receipt_of(request_id: str, outcome: Outcome) -> dict[str, Any]:
    """The members of `api.resources.events.receipts.Receipt`."""
    verdict = outcome.verdict
    return {
        "request_id": request_id,
        "accepted": verdict.accepted,
        "duplicates": verdict.duplicates,
        "rejected": len(verdict.refusals),
        "dropped": verdict.dropped,
        "dedupe": verdict.dedupe.value,
        "redacted": verdict.redacted,
        "clock_offset_ms": outcome.clock_offset_ms,
        "dry_run": outcome.dry_run,
        "errors": refusals_of(verdict),
    }


def refusals_of(verdict: Verdict) -> Sequence[dict[str, Any]]:
    """The members of `api.resources.events.receipts.Refusal`, one per event that was refused."""
    return [refusal.model_dump() for refusal in verdict.refusals]


def _sent_at_of(header: str) -> object:
    """The time in `X-Sent-At`, as a batch would have it: an integer or a text; None if it is empty."""
    text = header.strip()
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else text
