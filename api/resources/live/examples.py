"""Examples of answers: the shop right now."""

from typing import Any

from api.openapi.examples import AS_OF, NO_COUNTS

_DELAY = {"p50_ms": 12.0, "p99_ms": 48.5}

ANSWERS: dict[str, Any] = {
    "get_live": {
        **AS_OF,
        "durable": True,
        "timezone": "Europe/Berlin",
        "active_visitors": 231,
        "events_per_s": 48.2,
        "delay": _DELAY,
        "funnel_today": {"sessions": 4102, "viewed": 3987, "carted": 611, "bought": 204},
        "carts_abandoned_today": 87,
        "today": {
            "from": "2025-10-08T22:00:00Z",
            "to": "2025-10-09T08:56:00Z",
            "orders": 204,
            "units": 371,
            "revenue": [{"currency": "EUR", "amount_minor": 1482310, "amount": "14823.10"}],
            "refunded": [{"currency": "EUR", "amount_minor": 12900, "amount": "129.00"}],
            "net_revenue": [{"currency": "EUR", "amount_minor": 1469410, "amount": "14694.10"}],
        },
        "yesterday_at_this_time": {
            "from": "2025-10-07T22:00:00Z",
            "to": "2025-10-08T08:55:00Z",
            "orders": 188,
            "units": 340,
            "revenue": [{"currency": "EUR", "amount_minor": 1390075, "amount": "13900.75"}],
            "refunded": [],
            "net_revenue": [{"currency": "EUR", "amount_minor": 1390075, "amount": "13900.75"}],
        },
        "per_minute": [{"start": "2025-10-09T08:55:00Z", **NO_COUNTS, "view": 802, "cart": 41}],
        "totals": {
            "applied": 1_204_511,
            "duplicates": 12,
            "late": 3,
            "rejected": 1,
            "lost": 0,
            "forgotten": 0,
        },
        "backlog": {"waiting": 3, "history_to": None},
        "workers": [
            {
                "worker_id": "host-4711-1",
                "heard_at": "2025-10-09T08:55:19.900Z",
                "events_per_s": 48.2,
                "delay": _DELAY,
                "rss_bytes": 90_000_000,
                "partitions": [0, 1, 2, 3],
            }
        ],
    },
}
