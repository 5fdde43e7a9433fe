"""The synthetic shop in motion: visitors arrive, visit, and come back."""

import heapq
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from contracts.currencies import MINOR_DIGITS
from contracts.events import Event
from producers.simulator.calendar import BUSIEST, busyness
from producers.simulator.catalogue import make_catalogue
from producers.simulator.profiles import DEMO, Profile
from producers.simulator.shop import PROMOTION_LIFT, Shop
from producers.simulator.visitors import CartLine, Visitor, make_visitor
from producers.simulator.visits import Step, Visit, draw_count

_UNITS_PER_EVENT = 0.03
_MOST_RATE_WARMED = 400.0
_OLDEST_VISITS = 4.0
"""Age of the oldest visits at the start, in mean visits."""


@dataclass(frozen=True, slots=True)
class SimulationConfig:
    """What to simulate. `rate` is events/s on average over a week; without `shaped`, at every moment.

    `end_ms` None: without end. `visitors` is how many different people there are.
    """

    start_ms: int
    end_ms: int | None = None
    rate: float = 50.0
    visitors: int = 100_000
    profile: Profile = DEMO
    currency: str = "EUR"
    timezone: str = "UTC"
    shaped: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1e6:
            raise ValueError(f"rate must be above 0 and at most 1,000,000 events/s, got {self.rate:g}")
        if self.visitors < 1:
            raise ValueError(f"visitors must be at least 1, got {self.visitors}")
        if self.end_ms is not None and self.end_ms <= self.start_ms:
            raise ValueError("the simulated time must be above 0 s")


def simulate(config: SimulationConfig, seed: int) -> Iterator[Event]:
    """Events in order of event time, the same for the same arguments."""
    return _Simulation(config, seed).run()


class _Simulation:
    def __init__(self, config: SimulationConfig, seed: int) -> None:
        self._config = config
        self._rng = random.Random(seed)
        minor_units = 10 ** MINOR_DIGITS[config.currency]
        self._catalogue = make_catalogue(config.profile, self._rng, minor_units)
        units_per_day = config.rate * 86_400 * _UNITS_PER_EVENT
        self._shop = Shop(self._catalogue, self._rng, config.start_ms, units_per_day)
        self._zone = ZoneInfo(config.timezone)
        self._visitors: list[Visitor] = []
        self._newest = 0
        self._order = 0
        self._due: list[tuple[int, int, Visitor, Iterator[Step] | None]] = []

    def run(self) -> Iterator[Event]:
        """All events from the start of the configuration to its end."""
        end_ms = self._config.end_ms
        self._let_in_those_already_here()
        arrivals = self._arrivals()
        next_arrival_ms = next(arrivals)
        while True:
            if not self._due or next_arrival_ms <= self._due[0][0]:
                at_ms, next_arrival_ms = next_arrival_ms, next(arrivals)
                visitor = self._arriving()
                visit = self._visit(visitor, at_ms, returning=False)
            else:
                at_ms, _, visitor, begun = heapq.heappop(self._due)
                if begun is None and visitor.busy:
                    continue
                visit = begun or self._visit(visitor, at_ms, returning=True)
            if end_ms is not None and at_ms >= end_ms:
                return
            yield from self._go_on(visitor, visit, at_ms)

    def _let_in_those_already_here(self) -> None:
        """So that the shop is as busy in its first second as later, with visits at every stage.

        Each begins some time before the start and what it did until then is skipped. That takes several tries
        for one that is still there, so a very busy shop starts with fresh visits instead.
        """
        profile, rng, start_ms = self._config.profile, self._rng, self._config.start_ms
        missing = round(self._config.rate / profile.events_per_arrival * profile.visit_s)
        begin_fresh = self._config.rate > _MOST_RATE_WARMED
        while missing:
            visitor = self._arriving()
            age_s = 0.0 if begin_fresh else rng.random() * _OLDEST_VISITS * profile.visit_s
            at_ms = start_ms - round(age_s * 1_000)
            visit = self._visit(visitor, at_ms, returning=False)
            if begin_fresh:
                # Mean time from any moment to the end of the log-normal gap that it lies in.
                residual_s = profile.gap_s.median * math.exp(1.5 * profile.gap_s.sigma**2) / 2
                at_ms += round(rng.expovariate(1.0 / residual_s) * 1_000)
            else:
                at_ms = _skip_until(start_ms, at_ms, visit)
            if at_ms >= start_ms:
                self._schedule(at_ms, visitor, visit)
                missing -= 1
            else:
                visitor.busy = False

    def _go_on(self, visitor: Visitor, visit: Iterator[Step], at_ms: int) -> Iterator[Event]:
        """The events of a visit at this moment; then it waits in the queue or is over."""
        for step in visit:
            if isinstance(step, int):
                self._schedule(at_ms + step, visitor, visit)
                return
            yield step
        visitor.busy = False
        profile = self._config.profile
        if visitor.cart and self._rng.random() < profile.returns:
            delay = profile.return_after_s
            delay_s = delay.median * math.exp(self._rng.gauss(0.0, delay.sigma))
            self._schedule(at_ms + max(60_000, round(delay_s * 1_000)), visitor, None)

    def _schedule(self, at_ms: int, visitor: Visitor, visit: Iterator[Step] | None) -> None:
        self._order += 1
        heapq.heappush(self._due, (at_ms, self._order, visitor, visit))

    def _visit(self, visitor: Visitor, at_ms: int, *, returning: bool) -> Iterator[Step]:
        visitor.busy = True
        config = self._config
        visit = Visit(visitor, self._shop, config.profile, self._rng, at_ms, config.currency)
        return visit.steps(returning=returning)

    def _arrivals(self) -> Iterator[int]:
        """Times of arrival: a Poisson process whose rate follows the calendar and promotions (thinning)."""
        config = self._config
        mean_per_ms = config.rate / config.profile.events_per_arrival / 1_000
        most = (BUSIEST if config.shaped else 1.0) * PROMOTION_LIFT
        at_ms = float(config.start_ms)
        while True:
            at_ms += self._rng.expovariate(mean_per_ms * most)
            lift = busyness(int(at_ms), self._zone) if config.shaped else 1.0
            self._shop.advance(int(at_ms))
            lift *= PROMOTION_LIFT if self._shop.promotion is not None else 1.0 / PROMOTION_LIFT
            if self._rng.random() * most < lift:
                yield int(at_ms)

    def _arriving(self) -> Visitor:
        """A visitor who is not in the shop: someone known, or the next new one while there are any."""
        all_known = self._newest >= self._config.visitors
        if self._visitors and (all_known or self._rng.random() < self._config.profile.known):
            for _ in range(8):
                visitor = self._rng.choice(self._visitors)
                if not visitor.busy:
                    return visitor
        # With more people in the shop than there are visitors, one more is better than a session too few.
        self._newest += 1
        visitor = make_visitor(self._newest, self._catalogue, self._rng)
        self._visitors.append(visitor)
        if self._rng.random() < self._config.profile.kept_cart:
            for _ in range(draw_count(self._rng, self._config.profile.kept_lines)):
                product = visitor.choose(self._rng, self._shop, self._config.profile, to_buy=True)
                visitor.cart[product.product_id] = CartLine(product, 1)
        return visitor


def _skip_until(start_ms: int, at_ms: int, visit: Iterator[Step]) -> int:
    """Time of the visit's first step from `start_ms` on; an earlier time if it ends before."""
    for step in visit:
        if isinstance(step, int):
            at_ms += step
            if at_ms >= start_ms:
                return at_ms
    return start_ms - 1
