"""Examples of answers: demand of one product."""

from typing import Any

from api.openapi.examples import AS_OF, EUR

ANSWERS: dict[str, Any] = {
    "get_demand": {
        **AS_OF,
        "product_id": "p00054",
        "grain": "hour",
        "from": "2025-10-09T08:00:00Z",
        "to": "2025-10-09T09:00:00Z",
        "retention_s": 3_024_000,
        "buckets": [
            {
                "start": "2025-10-09T08:00:00Z",
                "views": 182,
                "favorites": 9,
                "carts": 31,
                "removes": 4,
                "purchases": 12,
                "units": 14,
                "revenue": [EUR],
                "units_returned": 0,
                "refunded": [],
                "net_revenue": [EUR],
            }
        ],
    },
}
