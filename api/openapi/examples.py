"""Examples of the OpenAPI document: what operations answer."""

from typing import Any

from api.resources.webhooks.schemas import EXAMPLE as _WEBHOOK
from readers.alerts.schemas import EXAMPLE as _ALERT

_RECEIPT = {
    "accepted": 1,
    "duplicates": 0,
    "rejected": 0,
    "dropped": 0,
    "dedupe": "event_id",
    "redacted": 0,
    "clock_offset_ms": 0,
    "dry_run": False,
    "errors": [],
}
_REQUEST_ID = "2e7234a5aa284421a95ec4855aa78760"
_AS_OF = {"as_of": "2025-10-09T08:55:20.250000Z", "mode": "live"}
_NO_COUNTS = {"view": 0, "favorite": 0, "cart": 0, "remove_from_cart": 0, "purchase": 0}
_EUR = {"currency": "EUR", "amount_minor": 25990, "amount": "259.90"}
_DELAY = {"p50_ms": 12.0, "p99_ms": 48.5}
_DISTRIBUTION = {"view": 120, "cart": 14, "remove_from_cart": 3, "purchase": 9, "leave": 54}
_FIGURES = {
    "next_action": {
        "n": 200,
        "accuracy": 0.61,
        "macro_f1": 0.37,
        "log_loss": 0.97,
        "ece": 0.02,
        "reliability": [],
        "predicted": _DISTRIBUTION,
        "actual": _DISTRIBUTION,
    },
    "purchase": {
        "n": 54,
        "rate": 0.11,
        "log_loss": 0.29,
        "brier": 0.08,
        "ece": 0.02,
        "reliability": [],
    },
    "alerts": {},
}
_WINDOWS = {"1h": _FIGURES, "24h": _FIGURES}
_ATTEMPT = {
    "at": "2025-10-09T08:53:21.044Z",
    "took_ms": 84,
    "result": "delivered",
    "status": 204,
    "detail": "answered with 204",
    "answer": None,
    "answer_cut": False,
    "retry_after_s": None,
}
_DELIVERY = {
    "id": "test-a22020dd11d35682",
    "type": "webhook.test",
    "status": "delivered",
    "created_at": "2025-10-09T08:53:21Z",
    "next_attempt_at": None,
    "n_attempts": 1,
    "attempts": [_ATTEMPT],
}
_SEGMENT_RECEIPT = {"success": True, "request_id": _REQUEST_ID, **_RECEIPT, "ignored": 0}
_SEGMENT_CALLS = [
    f"post_{call}" for call in ("track", "batch", "identify", "page", "screen", "group", "alias")
]
_HANDLED = {"alert_id": _ALERT["alert_id"], "handling": _ALERT["handling"]}
_METRICS = """# HELP storepulse_api_requests_total Requests answered, by route template, method and status
# TYPE storepulse_api_requests_total counter
storepulse_api_requests_total{method="GET",route="/v1/live",status="200"} 6.0
"""

ANSWERS: dict[str, Any] = {
    "get_live": {
        **_AS_OF,
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
        },
        "yesterday_at_this_time": {
            "from": "2025-10-07T22:00:00Z",
            "to": "2025-10-08T08:55:00Z",
            "orders": 188,
            "units": 340,
            "revenue": [{"currency": "EUR", "amount_minor": 1390075, "amount": "13900.75"}],
        },
        "per_minute": [{"start": "2025-10-09T08:55:00Z", **_NO_COUNTS, "view": 802, "cart": 41}],
        "totals": {
            "applied": 1_204_511,
            "duplicates": 12,
            "late": 3,
            "rejected": 1,
            "lost": 0,
            "forgotten": 0,
        },
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
    "get_trending": {
        **_AS_OF,
        "half_life_s": 1800,
        "products": [{"rank": 1, "product_id": "p00054", "score": 41.7}],
    },
    "get_user": {
        **_AS_OF,
        "user_id": "visitor-17",
        "session": {
            "session_id": "ed255878e41deaed",
            "number": 3,
            "started_at": "2025-10-09T08:41:02Z",
            "last_event_at": "2025-10-09T08:50:20.250Z",
            "ended": False,
            "counts": {**_NO_COUNTS, "view": 5, "cart": 1},
            "units_bought": 0,
            "revenue": [],
        },
        "cart": {
            "lines": [
                {
                    "product_id": "p00054",
                    "quantity": 1,
                    "unit_price": _EUR,
                    "value": _EUR,
                    "added_at": "2025-10-09T08:50:20.250Z",
                }
            ],
            "units": 1,
            "value": [_EUR],
        },
        "totals": {
            "first_event_at": "2025-10-02T19:02:11Z",
            "last_event_at": "2025-10-09T08:50:20.250Z",
            "counts": {**_NO_COUNTS, "view": 21, "cart": 3, "purchase": 1},
            "units_bought": 2,
            "revenue": [_EUR],
        },
        "recent": [
            {
                "at": "2025-10-09T08:50:20.250Z",
                "event_type": "cart",
                "product_id": "p00054",
                "quantity": 1,
                "unit_price": _EUR,
                "category": "apparel.shoes",
                "brand": "Stride",
                "session_id": "ed255878e41deaed",
            }
        ],
    },
    "get_demand": {
        **_AS_OF,
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
                "revenue": [_EUR],
            }
        ],
    },
    "get_models": {
        **_AS_OF,
        "scoring": {"status": "ok", "detail": "visitors are scored by 5f0c1a52f4a4"},
        "together": _WINDOWS,
        "models": [{"version": "5f0c1a52f4a4", "windows": _WINDOWS}],
        "workers": [],
        "api": {"version": "5f0c1a52f4a4", "trouble": None, "card": None},
    },
    "get_alerts": {**_AS_OF, "alerts": [_ALERT], "next": "1760000000250-0", "more": False, "reset": False},
    "get_alert": {
        "alert_id": _ALERT["alert_id"],
        "state": "firing",
        "steps": [_ALERT],
        "handling": _ALERT["handling"],
    },
    **dict.fromkeys(
        (
            "acknowledge_alert",
            "withdraw_acknowledgement",
            "snooze_alert",
            "end_snooze",
            "judge_alert",
            "withdraw_feedback",
        ),
        _HANDLED,
    ),
    "export_alerts": "record_id,alert_id,kind,state\nb7c4d1a0-firing,b7c4d1a0,churn_risk,firing\n",
    "create_stream_ticket": {
        "ticket": "AtUN519lvgEBiARAt6sBddCO9-Wa1lOCO1n4OFzBLao",
        "expires_at": "2025-10-09T08:56:20.250Z",
    },
    "stream_alerts": {"id": "1760000000250-0", "event": "alert", "data": '{"record_id":"b7c4d1a0-firing"}'},
    "tail_events": {"event": "ready", "data": "{}"},
    "send_test_message": _DELIVERY,
    "get_webhook_delivery": _DELIVERY,
    "resend_webhook_delivery": _DELIVERY,
    "list_webhook_deliveries": {"deliveries": [_DELIVERY], "next": None},
    "replay_webhook": {"replaying": True},
    "list_webhooks": {"webhooks": [_WEBHOOK]},
    **dict.fromkeys(_SEGMENT_CALLS, _SEGMENT_RECEIPT),
    "validate_ga4_events": {"validationMessages": []},
    "get_livez": {"status": "ok"},
    "get_readyz": {"status": "ok", "parts": {"redis": {"status": "ok", "detail": "answered in 0.3 ms"}}},
    "get_startupz": {"status": "ok"},
    "get_metrics": _METRICS,
}
