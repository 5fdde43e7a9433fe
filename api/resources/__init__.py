"""What the API serves: one folder each for all that belongs to one thing, as `RESOURCE` in its `resource`."""

NAMES = (
    "events",
    "adapters",
    "live",
    "trending",
    "products",
    "users",
    "customers",
    "predictions",
    "next_basket",
    "recommendations",
    "models",
    "alerts",
    "experiments",
    "webhooks",
    "privacy",
    "health",
    "document",
    "page",
)
"""The folders, in the order in which their routes are tried and they are documented."""
