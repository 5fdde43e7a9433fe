"""What the partitions tell the owner of an order: which of its lines they counted, and what went back.

Reports of many orders of one owner are one record of the topic `orders`, keyed by a key of its partition. Who
bought is a digest that no other order has.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import Any, NamedTuple

import orjson

from contracts.currencies import MINOR_DIGITS
from contracts.fields import InvalidEvent
from contracts.partitioning import partition_of
from contracts.shapes import LATEST_MS

MAX_REPORTS_IN_RECORD = 500


class LineReport(NamedTuple):
    """A line that a visitor's partition counted; digests are of 8 bytes, in hexadecimal digits.

    `line` is the same for whoever sends the same line. `orders` are the changes of the number of orders that
    were counted with it, by start of a minute.
    """

    event: str
    at_ms: int
    product_id: str
    quantity: int
    price_minor: int | None
    currency: str | None
    line: str
    visitor: str
    orders: tuple[tuple[int, int], ...]


class RefundReport(NamedTuple):
    """A refund, which nobody counted yet. The first six fields are those of a line."""

    event: str
    at_ms: int
    product_id: str
    quantity: int
    price_minor: int | None
    currency: str | None


class OrderReport(NamedTuple):
    """What is reported of one order."""

    key: str
    """The `order_id`; of a refund of no order, a line break and the event's id."""
    content: LineReport | RefundReport


def encode_reports(reports: Sequence[OrderReport]) -> bytes:
    """The value of a record."""
    return orjson.dumps([[key, *content] for key, content in reports])


def decode_reports(raw: bytes | None) -> list[OrderReport]:
    """The reports in the value of a record; raises `InvalidEvent` with the code `orders.not_reports`."""
    try:
        return [_report(fields) for fields in orjson.loads(raw or b"")]
    except (ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise InvalidEvent("orders.not_reports", "must be a JSON array of reports of orders") from exc


@lru_cache(maxsize=1024)
def key_of_partition(p: int, partitions: int) -> str:
    """A key that Kafka's default partitioner puts into partition `p`."""
    return next(key for key in map(str, count()) if partition_of(key, partitions) == p)


def _report(fields: Any) -> OrderReport:
    key, *content = fields
    event, at_ms, product_id, quantity, price_minor, currency, *of_line = content
    kinds = (str, str, int, str, int, int | None, str | None)
    found = (key, event, at_ms, product_id, quantity, price_minor, currency)
    if not all(map(isinstance, found, kinds)) or not (currency is None or currency in MINOR_DIGITS):
        raise TypeError(fields)
    line, visitor, orders = of_line or ("", "", ())
    if not _DIGESTS.fullmatch(event + line + visitor):
        raise TypeError(fields)
    for time_ms in (at_ms, *[minute_ms for minute_ms, _ in orders]):
        if type(time_ms) is not int or abs(time_ms) > LATEST_MS:
            raise TypeError(fields)
    refund = RefundReport(event, at_ms, product_id, quantity, price_minor, currency)
    if not of_line:
        return OrderReport(key, refund)
    changes = tuple([(minute_ms, int(change)) for minute_ms, change in orders])
    return OrderReport(key, LineReport(*refund, line, visitor, changes))


_DIGESTS = re.compile(r"[0-9a-f]{16}|[0-9a-f]{48}")
