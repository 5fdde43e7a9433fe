"""Examples of answers: how the process is."""

from typing import Any

_METRICS = """# HELP storepulse_api_requests_total Requests answered, by route template, method and status
# TYPE storepulse_api_requests_total counter
storepulse_api_requests_total{method="GET",route="/v1/live",status="200"} 6.0
"""

ANSWERS: dict[str, Any] = {
    "get_livez": {"status": "ok"},
    "get_readyz": {"status": "ok", "parts": {"redis": {"status": "ok", "detail": "answered in 0.3 ms"}}},
    "get_startupz": {"status": "ok"},
    "get_metrics": _METRICS,
}
