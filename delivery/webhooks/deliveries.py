"""What an attempt came to, and what follows from it for its delivery and its endpoint."""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

import orjson

from delivery.webhooks.endpoints import DisabledReason
from delivery.webhooks.policy import DeliveryPolicy
from delivery.webhooks.retry import delay_s, throttle_s
from delivery.webhooks.streaks import NO_STREAK, Streak, add_failure, is_hopeless
from readers.unreadable import UNREADABLE

ATTEMPTS_KEPT = 20
_SPARING = frozenset((429, 502, 503, 504))
_GONE = 410


class Result(StrEnum):
    """How an attempt ended. All but `delivered` are failures."""

    DELIVERED = "delivered"
    STATUS = "status"
    """An answer that is not 2xx and none of those below."""
    REDIRECT = "redirect"
    """3xx: never followed."""
    GONE = "gone"
    THROTTLED = "throttled"
    """429, 502, 503 or 504."""
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    NAME = "name"
    """The host has no address."""
    ADDRESS = "address"
    """The host has an address that must not be asked, or the URL is not allowed (any more)."""
    PROTOCOL = "protocol"
    """What came is not HTTP."""
    INTERNAL = "internal"
    """A mistake of ours."""


class DeliveryStatus(StrEnum):
    """pending, then one of the others; sending again makes it pending again."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    """All attempts failed."""
    SKIPPED = "skipped"
    """The endpoint was disabled before it got there."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt. `status` and `answer` (the first KB) are None where no answer came; `cut` that we stopped
    reading it. `retry_after_s` is what the answer asked for, None if nothing."""

    at_ms: int
    took_ms: int
    result: Result
    status: int | None = None
    detail: str = ""
    answer: str | None = None
    cut: bool = False
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message on its way to one endpoint. `failures` counts since it was last made pending."""

    delivery_id: str
    message_type: str
    user_id: str
    created_ms: int
    status: DeliveryStatus = DeliveryStatus.PENDING
    failures: int = 0
    attempts: tuple[Attempt, ...] = ()
    n_attempts: int = 0

    def again(self) -> "Delivery":
        """Pending, with all its attempts before it."""
        return replace(self, status=DeliveryStatus.PENDING, failures=0)


class Health(NamedTuple):
    """How an endpoint has answered lately. `throttled` counts answers in a row that asked to be spared."""

    streak: Streak = NO_STREAK
    throttled: int = 0
    rest_until_ms: int = 0
    succeeded_ms: int | None = None


class DeliveryUpdate(NamedTuple):
    """What to store after an attempt. `due_ms` is the next attempt, None: there is none."""

    delivery: Delivery
    health: Health
    due_ms: int | None
    disable: DisabledReason | None


def judge_status(status: int) -> Result:
    """What a complete status line says."""
    if 200 <= status < 300:
        return Result.DELIVERED
    if status == _GONE:
        return Result.GONE
    if status in _SPARING:
        return Result.THROTTLED
    return Result.REDIRECT if 300 <= status < 400 else Result.STATUS


def apply_attempt(
    delivery: Delivery, health: Health, attempt: Attempt, policy: DeliveryPolicy, draw: float
) -> DeliveryUpdate:
    """What follows from an attempt that has just ended; `draw` is uniform in [0, 1)."""
    ended_ms = attempt.at_ms + attempt.took_ms
    attempts = (*delivery.attempts, attempt)[-ATTEMPTS_KEPT:]
    delivery = replace(delivery, attempts=attempts, n_attempts=delivery.n_attempts + 1)
    if attempt.result is Result.DELIVERED:
        done = replace(delivery, status=DeliveryStatus.DELIVERED)
        return DeliveryUpdate(done, Health(succeeded_ms=ended_ms), None, None)
    delivery = replace(delivery, failures=delivery.failures + 1)
    health = _worsen(health, attempt, policy, ended_ms)
    if attempt.result is Result.GONE:
        return DeliveryUpdate(
            replace(delivery, status=DeliveryStatus.FAILED), health, None, DisabledReason.GONE
        )
    hopeless = is_hopeless(health.streak, ended_ms, give_up_ms=policy.give_up_ms)
    disable = DisabledReason.FAILING if hopeless else None
    wait_s = delay_s(delivery.failures, draw, policy.schedule_s)
    if wait_s is None:
        return DeliveryUpdate(replace(delivery, status=DeliveryStatus.FAILED), health, None, disable)
    due_ms = max(ended_ms + round(wait_s * policy.scale * 1_000), health.rest_until_ms)
    return DeliveryUpdate(delivery, health, due_ms, disable)


def _worsen(health: Health, attempt: Attempt, policy: DeliveryPolicy, ended_ms: int) -> Health:
    streak = add_failure(health.streak, ended_ms)
    if attempt.result is not Result.THROTTLED:
        return health._replace(streak=streak)
    throttled = health.throttled + 1
    rest_ms = round(throttle_s(throttled, attempt.retry_after_s) * policy.scale * 1_000)
    return health._replace(
        streak=streak, throttled=throttled, rest_until_ms=max(health.rest_until_ms, ended_ms + rest_ms)
    )


def encode_delivery(delivery: Delivery) -> bytes:
    """The delivery as JSON; `decode_delivery` gives it back."""
    return orjson.dumps(delivery)


def decode_delivery(raw: bytes) -> Delivery:
    """The delivery in `raw`; raises `KeyError`, `TypeError` or `ValueError` for what we never wrote."""
    fields: dict[str, Any] = orjson.loads(raw)
    attempts = tuple(Attempt(**one | {"result": Result(one["result"])}) for one in fields["attempts"])
    return Delivery(**fields | {"status": DeliveryStatus(fields["status"]), "attempts": attempts})


def readable_delivery(raw: bytes) -> Delivery | None:
    """The delivery in `raw`; None, and noted, for what we never wrote."""
    try:
        return decode_delivery(raw)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        UNREADABLE.note("a webhook delivery", exc)
        return None


def encode_health(health: Health) -> bytes:
    """The health as JSON; `decode_health` gives it back."""
    streak, *rest = health
    return orjson.dumps([list(streak), *rest])


def decode_health(raw: bytes | None) -> Health:
    """The health in `raw`; that of an endpoint nothing was sent to for None, and for what we never wrote."""
    if raw is None:
        return Health()
    try:
        (recent, since), throttled, rest_until, succeeded = orjson.loads(raw)
        return Health(Streak(tuple(map(int, recent)), since), int(throttled), int(rest_until), succeeded)
    except (TypeError, ValueError) as exc:
        UNREADABLE.note("how a webhook endpoint answered", exc)
        return Health()
