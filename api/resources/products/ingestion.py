"""The way of products from the body of a request to Kafka."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from fastapi import Request

from api.http.bodies import check_charset, check_length, is_gzip, read_body
from api.identity.principal import Principal
from api.resources.events.in_flight import InFlightEvents
from api.resources.events.ingestion import Ingestion
from api.resources.events.publisher import Outgoing
from api.resources.events.receipts import Refusal
from api.resources.events.refused_events import Sender
from api.resources.products.payloads import parse_products
from api.resources.products.schemas import ProductRefusal
from api.services import services_of
from contracts.clock import wall_clock_ms
from contracts.fields import InvalidEvent, identifier
from contracts.product_records import ProductUpdate, encode_product, product_from
from contracts.senders import client_of_agent
from contracts.topics import Topics


class ToldProducts(NamedTuple):
    """What became of a request's products: updates with their bytes for Kafka, and refusals."""

    updates: Sequence[tuple[ProductUpdate, bytes]]
    refusals: Sequence[ProductRefusal]


async def take_products(request: Request, principal: Principal, *, dry_run: bool) -> ToldProducts:
    """Judges the products in the body and, unless it is a dry run, returns when Kafka has those that passed.

    That all are refused is no error here. Raises `Problem` for a body that cannot be read, and 503 where
    Kafka does not acknowledge or too much waits for it.
    """
    ingestion, received_ms = services_of(request.app).get(Ingestion), wall_clock_ms()
    headers = request.headers
    check_length(headers.get("content-length", ""))
    with _bytes_in_flight(ingestion.in_flight) as take:
        gzip = is_gzip(headers.get("content-encoding", ""))
        body = await read_body(request.receive, gzip=gzip, take=take)
        content_type = headers.get("content-type", "")
        check_charset(content_type, body)
        elements = parse_products(body, content_type)
        judged = judge_products(elements, received_ms, ingestion.settings.currency)
        if not dry_run:
            await send_products(request, principal, judged.updates)
            _report(ingestion, request, principal, elements, judged.refusals, received_ms)
    return judged


async def send_products(
    request: Request, principal: Principal, updates: Sequence[tuple[ProductUpdate, bytes]]
) -> None:
    """Returns when Kafka has the updates; raises `Problem` 503."""
    services = services_of(request.app)
    topic = Topics(services.settings.topic_prefix).products
    headers = [("request_id", request.scope["state"]["request_id"].encode())]
    if principal.key_id:
        headers.append(("key_id", principal.key_id.encode()))
    records = [Outgoing(topic, update.product_id, value, headers) for update, value in updates]
    if records:
        await services.get(Ingestion).publisher.send(records)


def judge_products(elements: Sequence[Any], received_ms: int, default_currency: str) -> ToldProducts:
    """Holds each element against the contract; one without `updated_at` is as of `received_ms`."""
    updates: list[tuple[ProductUpdate, bytes]] = []
    refusals: list[ProductRefusal] = []
    for index, element in enumerate(elements):
        try:
            if isinstance(element, InvalidEvent):
                raise element
            update = product_from(element, received_ms=received_ms, default_currency=default_currency)
            value = encode_product(update)
        except InvalidEvent as exc:
            start, _, rule = exc.code.partition(".")
            code = f"product.{rule}" if start == "event" else exc.code
            refusals.append(
                ProductRefusal(index=index, code=code, detail=exc.detail, product_id=_valid_id(element))
            )
        else:
            updates.append((update, value))
    return ToldProducts(updates, refusals)


@contextmanager
def _bytes_in_flight(in_flight: InFlightEvents) -> Iterator[Callable[[int], None]]:
    """Counts what is read until the request is done with."""
    held = 0

    def take(n_bytes: int) -> None:
        nonlocal held
        in_flight.add(0, n_bytes)
        held += n_bytes

    try:
        yield take
    finally:
        in_flight.remove(0, held)


def _report(
    ingestion: Ingestion,
    request: Request,
    principal: Principal,
    elements: Sequence[Any],
    refusals: Sequence[ProductRefusal],
    received_ms: int,
) -> None:
    """Refused products as dead letters, beside those that came through Kafka."""
    sender = Sender("", principal.key_id, client_of_agent(request.headers.get("user-agent", "")))
    refused = [Refusal(index=one.index, code=one.code, detail=one.detail, event_id=None) for one in refusals]
    ingestion.refusals.report_events(sender, elements, refused, received_ms)


def _valid_id(element: Any) -> str | None:
    if type(element) is not dict:
        return None
    try:
        return identifier("product_id", element.get("product_id"))
    except InvalidEvent:
        return None
