"""How many alerts of a kind may fire: at most so many an hour, or a share of the sessions."""

import re
from collections.abc import Mapping
from typing import NamedTuple

_PART = re.compile(r"([a-z_][a-z0-9_]*)\s*=\s*([0-9]+(?:\.[0-9]+)?)\s*(%|/h)")


class AlertBudget(NamedTuple):
    """One of the two: `per_hour` alerts, or `share` of an alert for every session that begins."""

    per_hour: float = 0.0
    share: float = 0.0


def parse_budgets(text: str) -> Mapping[str, AlertBudget]:
    """Budgets by kind, from `churn_risk=5%, cart_abandoned=200/h`; a kind that is left out has none.

    Raises `ValueError` naming the part that is wrong.
    """
    budgets: dict[str, AlertBudget] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        found = _PART.fullmatch(part)
        if found is None:
            raise ValueError(f"{part!r} must be KIND=N/h (alerts per hour) or KIND=N% (share of sessions)")
        kind, number, unit = found[1], float(found[2]), found[3]
        if kind in budgets:
            raise ValueError(f"{kind} has two budgets")
        if unit == "%" and number > 100:
            raise ValueError(f"{part!r} must be at most 100%")
        budgets[kind] = AlertBudget(share=number / 100) if unit == "%" else AlertBudget(per_hour=number)
    return budgets
