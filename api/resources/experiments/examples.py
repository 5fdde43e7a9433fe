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
        "recommendations": {
            "for_you": {
                "arms": {
                    "main": {
                        "exposures": 48210,
                        "items": 482100,
                        "clicks": 6122,
                        "click_rate": 0.127,
                        "carts": 911,
                        "purchases": 318,
                        "units": 355,
                        "revenue": [{"currency": "EUR", "amount_minor": 1588200, "amount": "15882.00"}],
                        "revenue_per_exposure_minor": 32.94,
                        "visitors": {"n": 9020, "bought": 451, "share": 0.05, "revenue_minor": 244.1},
                        "bought": {"value": 0.0081, "low": 0.0011, "high": 0.0149},
                        "revenue_minor": {"value": 31.2, "low": -4.4, "high": 66.8},
                        "sample_ratio": {
                            "expected_held_out": 0.1,
                            "observed_held_out": 0.1009,
                            "p_value": 0.76,
                            "is_plausible": True,
                        },
                        "missing": {},
                    }
                }
            }
        },
    },
}
