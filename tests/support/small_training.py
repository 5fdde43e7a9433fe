"""A little shop and models trained on it, made once for all tests that need them."""

from dataclasses import replace
from functools import cache
from typing import Any

from contracts.events import Event
from models.next_action.prefixes import PrefixSet, prefixes_of
from models.next_action.training.fit import FitConfig
from models.next_action.training.net_config import NetConfig
from models.next_action.training.recipe import Recipe, Trained, train
from producers.simulator.profiles import PROFILES
from producers.simulator.simulation import SimulationConfig, simulate

IDLE_MS = 30 * 60_000
START_MS = 1_760_000_000_000
NET = NetConfig(width=8, channels=8, context_width=16, head_width=16, bins=4)
FIT = FitConfig(learning_rate=4e-3, batch_size=64, most_epochs=5, average=0.9, warm_up_steps=10)
RECIPE = Recipe(NET, FIT, seed=3, budget=None)
TREES: dict[str, Any] = {"most_rounds": 12, "learning_rate": 0.2, "num_leaves": 6}
NAMES = replace(NET, buckets=1_024, embedding=2, least_sessions=2, name_dropout=0.3)


@cache
def small_events() -> tuple[Event, ...]:
    """Half a day of a simulated cosmetics shop, which has all kinds of actions."""
    config = SimulationConfig(START_MS, START_MS + 12 * 3_600_000, 0.2, 200, PROFILES["cosmetics"])
    return tuple(simulate(config, seed=5))


@cache
def small_cases() -> PrefixSet:
    """Its cases."""
    return prefixes_of(small_events(), idle_ms=IDLE_MS)


@cache
def small_training() -> Trained:
    """A few epochs on it."""
    return train({"small": small_cases()}, RECIPE)


@cache
def named_training() -> Trained:
    """The same with a network that reads names."""
    return train({"small": small_cases()}, replace(RECIPE, net=NAMES, fit=replace(FIT, name_decay=1.0)))


@cache
def blended_training() -> Trained:
    """The same network blended with a few little trees."""
    return train({"small": small_cases()}, replace(RECIPE, trees=TREES))
