"""A kind of alert about products as an extension registers it, for as long as a test needs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from contracts.alerts import (
    Alert,
    AlertKindSpec,
    AlertState,
    Severity,
    fields,
    make_alert_id,
    register_kind,
)
from contracts.subjects import SubjectKind, product
from registrations import own_registrations

AT_MS = 1_760_000_000_000


class StockDetail(NamedTuple):
    """Pieces there are, and days they last at the present demand; None without any."""

    stock: int
    cover_days: float | None


STOCK_LOW = AlertKindSpec(
    "stock_low",
    "A product is about to be sold out",
    frozenset({SubjectKind.PRODUCT}),
    StockDetail,
    {"stock": fields.count, "cover_days": fields.or_null(fields.number)},
    outcome="restocked",
)


@contextmanager
def registered(spec: AlertKindSpec = STOCK_LOW) -> Iterator[AlertKindSpec]:
    """The kind is known to this process within."""
    with own_registrations():
        register_kind(spec)
        yield spec


def make_stock_alert(number: int = 1, **changes: Any) -> Alert:
    """A firing alert about the `number`-th product."""
    subject, at_ms = product(f"p{number}"), AT_MS + number * 1_000
    alert = Alert(
        make_alert_id(str(subject), STOCK_LOW.name, 0, 1, at_ms), STOCK_LOW.name, AlertState.FIRING,
        Severity.HIGH, subject, 1, at_ms, at_ms, True, StockDetail(3, 1.5), None, 2.0,
        ("3 left, enough for 1.5 days",),
    )  # fmt: skip
    return alert._replace(**changes)
