"""Examples of answers: products of recent interest."""

from typing import Any

from api.openapi.examples import AS_OF

ANSWERS: dict[str, Any] = {
    "get_trending": {
        **AS_OF,
        "half_life_s": 1800,
        "products": [{"rank": 1, "product_id": "p00054", "score": 41.7}],
    },
}
