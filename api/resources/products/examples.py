"""Examples: facts of a product, and the answers."""

from typing import Any

from api.openapi.examples import AS_OF, EUR, REQUEST_ID

UPDATE: dict[str, Any] = {
    "product_id": "p00054",
    "title": "Stride Tee",
    "price": "24.90",
    "currency": "EUR",
    "promotion": {"price": "19.90", "from": "2025-10-01T00:00:00Z", "to": "2025-11-01T00:00:00Z"},
    "image_url": "https://shop.example/images/p00054.webp",
    "page_url": "https://shop.example/p/p00054",
    "brand": "Stride",
    "categories": ["Shirts", "Running"],
    "regions": ["DE", "AT"],
    "stock": 12,
    "active": True,
    "published_at": "2025-09-01T06:00:00Z",
    "updated_at": "2025-10-09T08:50:00Z",
}
LINES = '{"product_id":"p00054","stock":11}\n{"product_id":"p00071","price":"9.90","currency":"EUR"}\n'
RECEIPT: dict[str, Any] = {
    "request_id": REQUEST_ID,
    "accepted": 2,
    "rejected": 1,
    "dry_run": False,
    "errors": [
        {
            "index": 1,
            "code": "stock.negative",
            "detail": "stock must not be negative",
            "product_id": "p00071",
        }
    ],
}
_PRODUCT: dict[str, Any] = {
    **{name: value for name, value in UPDATE.items() if name != "currency"},
    "price": {"currency": "EUR", "amount_minor": 2490, "amount": "24.90"},
    "promotion": {
        "price": {"currency": "EUR", "amount_minor": 1990, "amount": "19.90"},
        "from": "2025-10-01T00:00:00Z",
        "to": "2025-11-01T00:00:00Z",
    },
    "changed_at": "2025-10-09T08:50:00.250000Z",
}

ANSWERS: dict[str, Any] = {
    "get_products": {"products": [_PRODUCT], "next_after": None},
    "get_product": _PRODUCT,
    "delete_product": {"product_id": "p00054"},
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
