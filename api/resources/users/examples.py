"""Examples of answers: one visitor."""

from typing import Any

from api.openapi.examples import AS_OF, EUR, NO_COUNTS

ANSWERS: dict[str, Any] = {
    "get_users": {
        **AS_OF,
        "visitors": [{"user_id": "visitor-17", "last_event_at": "2025-10-09T08:50:20.250000Z"}],
    },
    "get_user": {
        **AS_OF,
        "user_id": "visitor-17",
        "visitor_id": "visitor-17",
        "customer_id": None,
        "session": {
            "session_id": "ed255878e41deaed",
            "number": 3,
            "started_at": "2025-10-09T08:41:02Z",
            "last_event_at": "2025-10-09T08:50:20.250Z",
            "ended": False,
            "counts": {**NO_COUNTS, "view": 5, "cart": 1},
            "units_bought": 0,
            "revenue": [],
        },
        "cart": {
            "lines": [
                {
                    "product_id": "p00054",
                    "quantity": 1,
                    "unit_price": EUR,
                    "value": EUR,
                    "added_at": "2025-10-09T08:50:20.250Z",
                }
            ],
            "units": 1,
            "value": [EUR],
        },
        "totals": {
            "first_event_at": "2025-10-02T19:02:11Z",
            "last_event_at": "2025-10-09T08:50:20.250Z",
            "counts": {**NO_COUNTS, "view": 21, "cart": 3, "purchase": 1},
            "units_bought": 2,
            "revenue": [EUR],
            "refunded": [],
            "net_revenue": [EUR],
        },
        "recent": [
            {
                "at": "2025-10-09T08:50:20.250Z",
                "event_type": "cart",
                "product_id": "p00054",
                "quantity": 1,
                "unit_price": EUR,
                "category": "apparel.shoes",
                "brand": "Stride",
                "session_id": "ed255878e41deaed",
            }
        ],
    },
}
