"""Examples of answers: what alerts bring."""

from typing import Any

from api.openapi.examples import AS_OF

ANSWERS: dict[str, Any] = {
    "get_experiments": {
        **AS_OF,
        "hold_out": 0.1,
        "days": 30,
        "watch_s": 86400,
        "currency": "EUR",
        "alerts": {
            "cart_abandoned": {
                "told": {"n": 9120, "bought": 1377, "share": 0.151, "revenue_minor": 1204.5},
                "held_out": {"n": 1014, "bought": 118, "share": 0.1164, "revenue_minor": 951.2},
                "bought": {"value": 0.0346, "low": 0.0129, "high": 0.0551},
                "revenue_minor": {"value": 253.3, "low": 12.8, "high": 493.8},
                "sample_ratio": {
                    "expected_held_out": 0.1,
                    "observed_held_out": 0.1001,
                    "p_value": 0.98,
                    "is_plausible": True,
                },
                "missing": {},
            }
        },
    },
}
