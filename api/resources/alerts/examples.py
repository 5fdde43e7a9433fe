"""Examples of answers: alerts, and what is done about them."""

from typing import Any

from api.openapi.examples import AS_OF
from readers.alerts.schemas import EXAMPLE as _ALERT

_HANDLED = {"alert_id": _ALERT["alert_id"], "handling": _ALERT["handling"]}

HANDLING_OPERATIONS = (
    "acknowledge_alert",
    "withdraw_acknowledgement",
    "snooze_alert",
    "end_snooze",
    "judge_alert",
    "withdraw_feedback",
)
ANSWERS: dict[str, Any] = {
    "get_alerts": {**AS_OF, "alerts": [_ALERT], "next": "1760000000250-0", "more": False, "reset": False},
    "get_alert": {
        "alert_id": _ALERT["alert_id"],
        "state": "firing",
        "steps": [_ALERT],
        "handling": _ALERT["handling"],
    },
    "export_alerts": "record_id,alert_id,kind,state\nb7c4d1a0-firing,b7c4d1a0,churn_risk,firing\n",
    "create_stream_ticket": {
        "ticket": "AtUN519lvgEBiARAt6sBddCO9-Wa1lOCO1n4OFzBLao",
        "expires_at": "2025-10-09T08:56:20.250Z",
    },
    "stream_alerts": {"id": "1760000000250-0", "event": "alert", "data": '{"record_id":"b7c4d1a0-firing"}'},
    **dict.fromkeys(HANDLING_OPERATIONS, _HANDLED),
}
