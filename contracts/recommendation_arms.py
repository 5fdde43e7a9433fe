"""Arms of the experiment on recommendations, as the settings name them."""

import re
from collections.abc import Mapping
from typing import NamedTuple

MAIN = "main"
"""Visitors who are in none of the others."""
HELD_OUT = "held_out"
"""Visitors who are shown what is popular in the shop, whatever was asked for."""

_NUMBER = r"([0-9]{1,4}(?:\.[0-9]{1,6})?)"
_PART = re.compile(rf"([a-z][a-z0-9_]{{0,30}})\s*=\s*{_NUMBER}%\s*:\s*{_NUMBER}/{_NUMBER}/{_NUMBER}")


class ArmPlan(NamedTuple):
    """A share of the visitors, and how much it is wanted that they view, cart or purchase next."""

    share: float
    view: float
    cart: float
    purchase: float


def parse_arms(text: str) -> Mapping[str, ArmPlan]:
    """Arms by name, from `buyers=20%:0.2/1/4` with commas between.

    Raises `ValueError` naming the part that is wrong.
    """
    arms: dict[str, ArmPlan] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} must be NAME=N%:VIEW/CART/PURCHASE, as in buyers=20%:0.2/1/4")
        name = found[1]
        if name in (MAIN, HELD_OUT) or name in arms:
            raise ValueError(f"the arm {name} is there already")
        share, view, cart, purchase = (float(number) for number in found.groups()[1:])
        if not view + cart + purchase:
            raise ValueError(f"{part!r} must have a weight above 0")
        arms[name] = ArmPlan(share / 100, view, cart, purchase)
    if sum(arm.share for arm in arms.values()) > 1:
        raise ValueError("the arms must have at most 100% of the visitors together")
    return arms
