"""The names of what a ranker reads of each candidate."""

UNKNOWN = -1.0
FEATURES = (
    "count", "share", "newest_age", "oldest_age", "recent_share", "decayed_share", "mean_gap", "last_gap",
    "due", "days_since", "mean_days", "due_days", "own_place", "taste", "others_taste", "mixed_taste",
    "upcf_others", "upcf", "transition", "similarity", "popularity", "recent_popularity", "trend", "buyers",
    "rebought", "again", "item_gap", "due_by_item", "baskets", "mean_size", "newest_size", "repeat_share",
    "days_since_basket", "mean_basket_days", "share_80", "share_95", "share_98", "share_10_days",
    "share_30_days", "share_90_days", "hour_share", "basket_size", "basket_parts", "log_gap",
    "gap_spread", "overdue", "gaps_passed", "hour_size", "network", "network_place",
)  # fmt: skip
"""Names of the columns; what is unknown, such as the age of an item never bought, is -1."""
NEED_OTHERS = frozenset(
    ("others_taste", "mixed_taste", "upcf_others", "upcf", "similarity", "network", "network_place")
)
"""Those that compare a history with other customers', or ask a network: who serves a model knows neither."""
