"""Who asks, and what they may do."""

from enum import StrEnum
from typing import NamedTuple


class Scope(StrEnum):
    """What a key may be allowed to do. Routes ask for exactly one."""

    EVENTS_WRITE = "events:write"
    """Send events; keys of other kinds than secret ones always have it."""
    RECOMMENDATIONS_READ = "recommendations:read"
    """Ask what to show a visitor; the only other one that keys of pages and apps can have."""
    INSIGHTS_READ = "insights:read"
    """Figures of the shop as a whole: live, trending, demand, models."""
    VISITORS_READ = "visitors:read"
    """State and predictions of single visitors."""
    ALERTS_READ = "alerts:read"
    ALERTS_WRITE = "alerts:write"
    """Acknowledge, snooze, judge."""
    WEBHOOKS_MANAGE = "webhooks:manage"
    PRIVACY_WRITE = "privacy:write"
    """Have visitors deleted."""
    PRODUCTS_WRITE = "products:write"
    """Tell of products, and remove them."""
    OPERATIONS_READ = "operations:read"
    """Metrics of the processes."""


class Limits(NamedTuple):
    """How much one key may do; 0 is no limit."""

    requests_per_s: int = 0
    events_per_minute: int = 0
    events_per_day: int = 0
    """Days of UTC."""


class Principal(NamedTuple):
    """Who asks, as far as routes need to know: now the bearer of a key.

    A login of people belongs here: it gives a principal of the same fields, whose scopes come from a role,
    and neither routes nor limits have to know how somebody was recognised.
    """

    key_id: str
    """Empty for whoever asks an installation that needs no keys; `root` for the root key."""
    name: str
    scopes: frozenset[Scope]
    is_publishable: bool
    """Of a kind that others may come to read, in a page, an app or a log."""
    may_purchase: bool = True
    """Whether its purchases count; `claims.check_claim` refuses them otherwise."""
    limits: Limits = Limits()


ANYONE = Principal("", "anyone", frozenset(Scope), is_publishable=False)
"""On loopback, where no key was ever made, everybody may do everything."""

UNIDENTIFIED = Principal("", "unidentified", frozenset(), is_publishable=True, may_purchase=False)
"""Before `guard.identify`, on routes whose key may come in the body: may do nothing."""
