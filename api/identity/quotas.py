"""What keys may spend: requests per second, events per minute and day, counted in Redis for all processes."""

import asyncio
import hashlib
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.exceptions import NoScriptError
from redis.exceptions import TimeoutError as RedisTimeoutError

from api.http.errors import Problem
from api.identity.principal import Limits, Principal
from contracts.clock import wall_clock_ms
from contracts.keys import Keys
from readers.shared_pipeline import SharedPipeline

_SPEND = (Path(__file__).parent / "spend.lua").read_text()
_DIGEST = hashlib.sha1(_SPEND.encode(), usedforsecurity=False).hexdigest()
_TIMEOUT_S = 1.0
_MAX_PAUSE_S = 1.0
"""A key that has spent a quota is refused for so long at most before Redis is asked again."""


class QuotaPolicy(NamedTuple):
    """One kind of limit, as `RateLimit-Policy` names it."""

    name: str
    unit: str
    window_ms: int
    is_sliding: bool
    """Whether the window before counts by the share of it that is less than a window ago."""
    code: str


REQUESTS = QuotaPolicy("requests", "requests", 1_000, True, "rate.exceeded")
EVENTS_PER_MINUTE = QuotaPolicy("events-per-minute", "events", 60_000, False, "quota.spent")
EVENTS_PER_DAY = QuotaPolicy("events-per-day", "events", 86_400_000, False, "quota.spent")
_POLICIES = (REQUESTS, EVENTS_PER_MINUTE, EVENTS_PER_DAY)


class Spending(NamedTuple):
    """A limit that applies, and what a request costs of it."""

    policy: QuotaPolicy
    limit: int
    cost: int


class Balance(NamedTuple):
    """What is left of the limits that apply; seconds until each starts anew."""

    spendings: Sequence[Spending]
    left: Sequence[int]
    resets_s: Sequence[int]

    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers-10; none where no limit applies."""
        if not self.spendings:
            return {}
        policies = [
            f'"{policy.name}";q={limit};w={policy.window_ms // 1_000};qu="{policy.unit}"'
            for policy, limit, _ in self.spendings
        ]
        states = [
            f'"{spending.policy.name}";r={max(0, left)};t={reset_s}'
            for spending, left, reset_s in zip(self.spendings, self.left, self.resets_s, strict=True)
        ]
        return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(states)}


_NOTHING = Balance((), (), ())
_UNLIMITED = Limits()


class Quotas:
    """Takes what a request costs off its key's limits: one round trip, none where no limit applies."""

    def __init__(self, redis: Redis, keys: Keys, clock_ms: Callable[[], int] = wall_clock_ms) -> None:
        self._ask_redis = SharedPipeline(redis).ask
        self._keys = keys
        self._clock_ms = clock_ms
        self._paused: dict[tuple[str, str], float] = {}

    async def spend_request(self, principal: Principal) -> Balance:
        """Takes one request; raises `Problem` 429 `rate.exceeded`, or `redis.RedisError`."""
        return await self._take(principal, applicable(principal.limits, n_events=0))

    async def spend_events(self, principal: Principal, n_events: int) -> Balance:
        """Takes one request and its events, all or nothing.

        Raises `Problem` 429 `rate.exceeded` or `quota.spent`, or `redis.RedisError`.
        """
        return await self._take(principal, applicable(principal.limits, n_events))

    def check_size(self, principal: Principal, n_events: int) -> None:
        """Raises `Problem` 413 for more events than the key could ever send at once."""
        for policy, limit, cost in applicable(principal.limits, n_events):
            if cost > limit:
                raise Problem(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    "quota.request_too_large",
                    f"send at most {limit} events in a request, the limit of this key for "
                    f"{policy.window_ms // 1_000} s; this one has {cost}, one for each item of an order",
                )

    def check_pause(self, principal: Principal) -> None:
        """Raises `Problem` 429 for a key that sent too much a moment ago, before its body is read."""
        limit = principal.limits.requests_per_s
        if limit and self._is_paused(principal.key_id, REQUESTS):
            reset_s = -(-_remaining_ms(REQUESTS, self._clock_ms()) // 1_000)
            raise _refusal(Balance([Spending(REQUESTS, limit, 1)], [0], [reset_s]), 0)

    async def _take(self, principal: Principal, spendings: Sequence[Spending]) -> Balance:
        if not spendings:
            return _NOTHING
        now_ms = self._clock_ms()
        resets_s = [-(-_remaining_ms(spending.policy, now_ms) // 1_000) for spending in spendings]
        for i, spending in enumerate(spendings):
            if self._is_paused(principal.key_id, spending.policy):
                raise _refusal(Balance(spendings, [0] * len(spendings), resets_s), i)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                refused, *left = await self._ask(principal.key_id, spendings, now_ms)
        except TimeoutError as exc:
            raise RedisTimeoutError("Redis did not check the limits in time") from exc
        balance = Balance(spendings, left, resets_s)
        if refused:
            self._pause(principal.key_id, balance, refused - 1)
            raise _refusal(balance, refused - 1)
        return balance

    async def _ask(self, key_id: str, spendings: Sequence[Spending], now_ms: int) -> list[int]:
        names: list[str] = []
        args: list[int | float] = []
        for policy, limit, cost in spendings:
            window = now_ms // policy.window_ms
            names += [self._keys.spent(key_id, policy.name, window - back) for back in (0, 1)]
            share = _remaining_ms(policy, now_ms) / policy.window_ms if policy.is_sliding else 0
            args += [limit, cost, share, 2 * policy.window_ms]
        reply = await self._spend(len(names), *names, *args)
        return [int(number) for number in reply]

    async def _spend(self, *args: str | float) -> Any:
        try:
            return await self._ask_redis("EVALSHA", _DIGEST, *args)
        except NoScriptError:  # Redis is new, or was started again
            return await self._ask_redis("EVAL", _SPEND, *args)

    def _is_paused(self, key_id: str, policy: QuotaPolicy) -> bool:
        return self._paused.get((key_id, policy.name), 0.0) > time.monotonic()

    def _pause(self, key_id: str, balance: Balance, i: int) -> None:
        """Whoever has nothing left need not be looked up until something may have come back."""
        policy, limit, _ = balance.spendings[i]
        if balance.left[i] > 0:  # a smaller request may still fit
            return
        until_s = policy.window_ms / limit / 1_000 if policy.is_sliding else float(balance.resets_s[i])
        self._paused[key_id, policy.name] = time.monotonic() + min(until_s, _MAX_PAUSE_S)


def applicable(limits: Limits, n_events: int) -> list[Spending]:
    """The limits that apply to a request with so many events."""
    if limits == _UNLIMITED:
        return []
    costs = (1, n_events, n_events)
    return [
        Spending(policy, limit, cost)
        for policy, limit, cost in zip(_POLICIES, limits, costs, strict=True)
        if limit and cost
    ]


def _remaining_ms(policy: QuotaPolicy, now_ms: int) -> int:
    return policy.window_ms - now_ms % policy.window_ms


def _refusal(balance: Balance, i: int) -> Problem:
    (policy, limit, cost), left = balance.spendings[i], max(0, balance.left[i])
    window_s = policy.window_ms // 1_000
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        policy.code,
        f"this key has {left} of {limit} {policy.unit} in {window_s} s left, and this request needs {cost}",
        headers={"Retry-After": str(balance.resets_s[i]), **balance.headers()},
    )
