"""`storepulse evaluate uplift`: does the printed interval hold the effect of alerts, where that is known?

Shoppers fill a cart and fall silent; some buy within the day, and of those who are told of some more. They go
through the stream's own steps: rules, hold-out group, what is bought in the day after, counters, figures.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from contracts.alerts import CART_ABANDONED
from contracts.events import EventType
from contracts.settings import Settings
from contracts.visitor import Action, action_of, digest_of
from contracts.visitor_alerts import NO_ALERTS
from models.quality import add_up, by_version
from models.uplift import Difference, uplift_figures
from stream.alerts.gate import Gate
from stream.alerts.registry import AlertRules
from stream.alerts.steps import on_actions, on_deadline
from stream.scoring.predictions import PredictionResults
from stream.visitors.session import SessionSettings, absorb

_START_MS = 1_760_000_000_000
_DAY_MS = 86_400_000
_CARTS_PER_DAY = 2_000
_MEAN_VALUE_MINOR = 6_000


@dataclass(frozen=True, slots=True)
class UpliftOptions:
    """A shop in which alerts raise the chance of a purchase within a day from `rate` by `effect`."""

    visitors: int = 20_000
    rate: float = 0.12
    effect: float = 0.03
    hold_out: float = 0.2
    seeds: int = 100


class Outcome(NamedTuple):
    """What one seed came to: the estimates, and the true differences they are of."""

    bought: Difference
    revenue_minor: Difference


def run_uplift_evaluation(options: UpliftOptions) -> int:
    """Simulate every seed and print how often the intervals hold the truth; returns the exit code."""
    seeds = track(range(options.seeds), "shops", console=Console(stderr=True), transient=True)
    outcomes = [measure_uplift(options, seed) for seed in seeds]
    truth = (options.effect, options.effect * _MEAN_VALUE_MINOR)
    table = Table(
        title=f"{options.seeds} shops of {options.visitors:,} visitors with an alert, {options.hold_out:.0%} "
        f"held out; {options.rate:.0%} buy within the day, of those told {options.effect:+.0%}"
    )
    for name in ("", "true", "mean estimate", "mean half width", "intervals that hold it"):
        table.add_column(name, justify="left" if not name else "right")
    for name, true, found in (
        ("share that bought", truth[0], [outcome.bought for outcome in outcomes]),
        ("revenue per alert, minor", truth[1], [outcome.revenue_minor for outcome in outcomes]),
    ):
        held = sum(each.low <= true <= each.high for each in found)
        table.add_row(
            name,
            f"{true:.4g}",
            f"{np.mean([each.value for each in found]):.4g}",
            f"{np.mean([(each.high - each.low) / 2 for each in found]):.4g}",
            f"{held} of {len(found)}",
        )
    Console().print(table)
    return 0


def measure_uplift(options: UpliftOptions, seed: int) -> Outcome:
    """One shop's figures of `cart_abandoned`; raises `ValueError` where a group has fewer than two alerts."""
    settings = Settings(
        _env_file=None, alert_hold_out=options.hold_out, namespace=f"shop-{seed}", alert_budgets=""
    )
    gate = Gate()
    rules = AlertRules.of(settings, gate=gate)
    sessions = SessionSettings(settings.idle_ms, settings.disorder_ms)
    results = PredictionResults()
    for user_id, cart, purchase in _shoppers(options, rules, np.random.default_rng(seed)):
        visitor, _ = absorb(None, [cart], sessions)
        state, alerts = on_actions(NO_ALERTS, user_id, None, [cart], None, rules)
        until_ms = cart.at_ms + settings.cart_idle_ms + 1
        state, fired = on_deadline(state, user_id, visitor, None, until_ms, rules)
        if purchase is not None:
            state, _ = on_actions(state, user_id, visitor, [purchase], None, rules)
            visitor, _ = absorb(visitor, [purchase], sessions)
        state, _ = on_deadline(state, user_id, visitor, None, cart.at_ms + 3 * _DAY_MS, rules)
        results.add([*alerts, *fired])
        results.take_from(gate)
    counts = add_up(by_version(add_up(results.tally.minutes.values())).values())
    figures = uplift_figures(counts, CART_ABANDONED)
    if figures.bought is None or figures.revenue_minor is None:
        raise ValueError("too few visitors: each group needs at least two alerts")
    return Outcome(figures.bought, figures.revenue_minor)


def _shoppers(
    options: UpliftOptions, rules: AlertRules, random: np.random.Generator
) -> Iterator[tuple[str, Action, Action | None]]:
    """Every visitor's cart and, if there is one, their purchase after the alert."""
    values = random.gamma(2.0, _MEAN_VALUE_MINOR / 2, options.visitors).round().astype(int)
    after_ms = random.integers(3_600_000, _DAY_MS - 3_600_000, options.visitors)
    draws = random.random(options.visitors)
    for number in range(options.visitors):
        user_id = f"v{number}"
        is_told = not rules.hold_out.holds(user_id)
        at_ms = _START_MS + number * _DAY_MS // _CARTS_PER_DAY
        cart = _action(EventType.CART, at_ms, int(values[number]), f"c{number}")
        buys = draws[number] < options.rate + options.effect * is_told
        bought_ms = at_ms + int(after_ms[number])
        purchase = _action(EventType.PURCHASE, bought_ms, int(values[number]), f"p{number}") if buys else None
        yield user_id, cart, purchase


def _action(kind: EventType, at_ms: int, price_minor: int, name: str) -> Action:
    return action_of((at_ms, kind.rank, digest_of(name), "p1", 1, price_minor, "EUR", None, None, None))
