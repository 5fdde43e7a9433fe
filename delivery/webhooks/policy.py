"""How hard and how long is tried: all waits of delivery in one place."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts.settings import Settings
from delivery.webhooks.retry import SCHEDULE_S
from delivery.webhooks.streaks import GIVE_UP_MS


@dataclass(frozen=True, slots=True)
class DeliveryPolicy:
    """Limits and waits of delivery. `scale` shortens the waits between attempts, for tests in real time."""

    pending_max: int = 1_000
    """Most deliveries of one endpoint that wait; then its place in the log of alerts stands still."""
    log_kept: int = 500
    """Most finished deliveries of one endpoint that are kept."""
    timeout_s: float = 15.0
    """One attempt altogether: name, connection, TLS, answer."""
    concurrency: int = 4
    """Attempts under way at one endpoint; 1 while it asked to be spared."""
    schedule_s: Sequence[float] = SCHEDULE_S
    scale: float = 1.0
    give_up_ms: int = GIVE_UP_MS
    lease_ms: int = 6_000
    """What a killed process held is taken over after this."""
    renew_s: float = 1.0
    drain_s: float = 8.0
    """Time at an orderly end for attempts under way."""
    replay_ahead: int = 32
    """Most repeats that wait at a time, so that new alerts are not far behind."""


def delivery_policy_of(settings: Settings) -> DeliveryPolicy:
    """The policy by these settings."""
    return DeliveryPolicy(
        pending_max=settings.webhook_pending_max,
        log_kept=settings.webhook_log_kept,
        timeout_s=settings.webhook_timeout_s,
        concurrency=settings.webhook_concurrency,
    )
