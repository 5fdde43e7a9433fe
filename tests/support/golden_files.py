"""What an earlier version wrote (`tests/golden`), and its values in the words of the present one."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any, NamedTuple

from contracts.alerts import CHURN_RISK, FLAT_KINDS, Alert
from contracts.visitor import Session, Visitor
from contracts.visitor_alerts import VisitorAlerts

FOLDER = Path(__file__).parents[1] / "golden" / "753b379"
Values = dict[str, Any]
"""Plain values as JSON has them; bytes are hex digits."""


class GoldenVisitor(NamedTuple):
    """A visitor's blob, what this version writes for the same visitor, and what is in it."""

    name: str
    blob: bytes
    repacked: bytes
    values: Values


def load_golden(name: str) -> Any:
    """What is in one of the files."""
    return json.loads(gzip.decompress((FOLDER / name).read_bytes()))


def golden_visitors() -> list[GoldenVisitor]:
    """Every blob there is."""
    return [
        GoldenVisitor(
            row["name"],
            base64.b64decode(row["blob"]),
            base64.b64decode(row.get("repacked", row["blob"])),
            row["values"],
        )
        for row in load_golden("visitors.json.gz")
    ]


def golden_customers(revision: str) -> list[Values]:
    """What this revision wrote of customers: rows of `name`, `blob` in base64, and `values`."""
    return _rows(revision, "customers.json.gz")


def golden_refunded_visitors(revision: str) -> list[Values]:
    """What it wrote of visitors with refunds: rows of `name`, `blob` in base64, `refunded` and `refunds`."""
    return _rows(revision, "refunded_visitors.json.gz")


def _rows(revision: str, name: str) -> list[Values]:
    rows: list[Values] = json.loads(gzip.decompress((FOLDER.parent / revision / name).read_bytes()))
    return rows


def golden_records(kind: str) -> list[Any]:
    """All records of a kind."""
    found: list[Any] = load_golden("records.json.gz")[kind]
    return found


def visitor_values(visitor: Visitor) -> Any:
    """The state of a visitor as the golden files have it."""
    score, alert_state, unjudged = visitor.predictions
    at_ms, rank, digest = visitor.tail.last
    return to_json(
        {
            "totals": visitor.totals._asdict(),
            "base": None if visitor.base is None else session_values(visitor.base),
            "head": session_values(visitor.head),
            "actions": visitor.tail.actions(),
            "tail_size": visitor.tail.size,
            "tail_last": (at_ms, rank, digest),
            "ended": visitor.ended,
            "timer_ms": visitor.timer_ms,
            "seen": visitor.seen,
            "orders": {order.hex(): at_ms for order, at_ms in visitor.orders.items()},
            "score": None if score is None else score._asdict(),
            "alert_state": alert_state_values(alert_state),
            "unjudged": {
                **unjudged._asdict(),
                "pending": [pending._asdict() for pending in unjudged.pending],
            },
        }
    )


def session_values(session: Session) -> Values:
    """A session with its cart."""
    return {**session._asdict(), "cart": {product: line._asdict() for product, line in session.cart.items()}}


def alert_state_values(alert_state: VisitorAlerts) -> Values:
    """What is kept of a visitor's alerts, by the names of their kinds."""
    return {
        "session": alert_state.session,
        "session_start_ms": alert_state.session_start_ms,
        "armed": alert_state.of(CHURN_RISK).armed,
        "intent": alert_state.of(CHURN_RISK).intent,
        "looked_ms": alert_state.of(CHURN_RISK).looked_ms,
        "live": alert_state.live,
        "episodes": {kind: alert_state.of(kind).episodes for kind in FLAT_KINDS},
        "quiet_until_ms": {kind: alert_state.of(kind).quiet_until_ms for kind in FLAT_KINDS},
        "open": [alert_values(alert) for alert in alert_state.open],
    }


def alert_values(alert: Alert) -> Values:
    """A step of an alert, all fields side by side."""
    fields = alert._asdict()
    fields.pop("subject")
    detail = fields.pop("detail")
    if alert.customer_id is None:
        del fields["customer_id"]
    offer = None if detail.offer is None else detail.offer._asdict()
    return {**fields, "user_id": alert.user_id, **detail._asdict(), "offer": offer}


def to_json(value: Any) -> Any:
    """Plain values: tuples become lists, bytes hex digits, members of enumerations their texts."""
    return json.loads(json.dumps(value, default=bytes.hex))
