"""Examples of answers: models and their figures."""

from typing import Any

from api.openapi.examples import AS_OF

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
        "missing": {},
    },
    "purchase": {
        "n": 54,
        "rate": 0.11,
        "log_loss": 0.29,
        "brier": 0.08,
        "ece": None,
        "reliability": [],
        "missing": {"ece": "too little data: 54 of at least 100 judged predictions"},
    },
    "alerts": {},
}
_WINDOWS = {"1h": _FIGURES, "24h": _FIGURES}

ANSWERS: dict[str, Any] = {
    "get_models": {
        **AS_OF,
        "scoring": {"status": "ok", "detail": "visitors are scored by 5f0c1a52f4a4"},
        "together": _WINDOWS,
        "models": [{"version": "5f0c1a52f4a4", "windows": _WINDOWS}],
        "workers": [],
        "api": {"version": "5f0c1a52f4a4", "trouble": None, "card": None},
    },
    "get_model_history": {
        "is_complete": True,
        "slots": [
            {
                "slot": "next_action",
                "champion": "8d1f0a3c77e2",
                "is_pinned": False,
                "beside": "base",
                "is_on_probation": True,
                "candidate": None,
                "former": ["base"],
                "rejected": [],
            }
        ],
        "steps": [
            {
                "slot": "next_action",
                "number": 3,
                "step": "promote",
                "version": "8d1f0a3c77e2",
                "at": AS_OF["as_of"],
                "author": "learner",
                "reason": "better than the champion in 412 sessions",
                "figures": {"difference": -0.21, "low": -0.28, "high": -0.14, "sessions": 412},
            }
        ],
    },
}
