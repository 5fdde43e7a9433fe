"""Examples of answers: one customer."""

from typing import Any

from api.openapi.examples import AS_OF, EUR

ANSWERS: dict[str, Any] = {
    "get_customer": {
        **AS_OF,
        "customer_id": "customer-97",
        "first_seen_at": "2025-03-01T17:20:44Z",
        "last_seen_at": "2025-10-09T08:50:20.250Z",
        "totals": {"orders": 4, "units": 6, "revenue": [EUR], "refunded": [], "net_revenue": [EUR]},
        "orders": [
            {
                "order_id": "o-1042",
                "visitor_id": "visitor-17",
                "at": "2025-10-09T08:50:20.250Z",
                "lines": [{"product_id": "p00054", "quantity": 1, "unit_price": EUR}],
                "value": [EUR],
            }
        ],
        "visitors": [
            {
                "visitor_id": "visitor-17",
                "first_login_at": "2025-10-02T19:02:11Z",
                "last_login_at": "2025-10-09T08:41:02Z",
                "logged_out_at": None,
            }
        ],
    },
    "unlink_visitor": {"customer_id": "customer-97", "visitor_id": "visitor-17"},
}
