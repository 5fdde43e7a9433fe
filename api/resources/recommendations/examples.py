"""Examples of answers: what to show, and why."""

from typing import Any

from api.openapi.examples import AS_OF, EUR

_ANSWER: dict[str, Any] = {
    **AS_OF,
    "rec_id": "5d0c1f7a9be2440c8a31e6f2",
    "user_id": "visitor-17",
    "visitor_id": "visitor-17",
    "is_known": True,
    "scenario": "for_you",
    "answered_by": "for_you",
    "tried": ["for_you"],
    "empty_because": None,
    "arm": "main",
    "model": "recent-sessions-1",
    "sessions_age_s": 0.21,
    "items": [
        {
            "product_id": "p00427",
            "place": 1,
            "score": 0.318204,
            "source": "for_you",
            "reason": {
                "code": "viewed_together",
                "words": "viewed together with Stride Tee in 41 visits",
                "params": {"product": "p00054", "visits": "41"},
            },
            "title": "Stride Runner",
            "price": EUR,
        }
    ],
}

ANSWERS: dict[str, Any] = {
    "get_recommendations": _ANSWER,
    "post_recommendations": {"answers": [_ANSWER]},
}
