"""Examples of answers: endpoints and their deliveries."""

from typing import Any

from api.resources.webhooks.schemas import EXAMPLE as _WEBHOOK

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

ANSWERS: dict[str, Any] = {
    "send_test_message": _DELIVERY,
    "get_webhook_delivery": _DELIVERY,
    "resend_webhook_delivery": _DELIVERY,
    "list_webhook_deliveries": {"deliveries": [_DELIVERY], "next": None},
    "replay_webhook": {"replaying": True},
    "list_webhooks": {"webhooks": [_WEBHOOK]},
}
