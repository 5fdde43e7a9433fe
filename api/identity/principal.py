"""Who asks, and what they may do."""

from enum import StrEnum
from typing import NamedTuple


class Scope(StrEnum):
    """What a key may be allowed to do. Routes ask for exactly one."""

    EVENTS_WRITE = "events:write"
    """Send events; the only one a publishable key can have."""
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
    OPERATIONS_READ = "operations:read"
    """Metrics of the processes."""


class Principal(NamedTuple):
    """The bearer of a key, as far as routes need to know. A login of people gives the same."""

    key_id: str
    """Empty for whoever asks an installation that needs no keys."""
    name: str
    scopes: frozenset[Scope]
    is_publishable: bool
    """Anybody can read the key in a page: what it sends is a claim."""


ANYONE = Principal("", "anyone", frozenset(Scope), is_publishable=False)
"""On loopback, where no key was ever made, everybody may do everything."""
