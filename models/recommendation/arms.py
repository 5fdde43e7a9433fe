"""Which arm of the experiment a visitor is in: by a hash of the id, so that nothing has to be stored."""

import hashlib
from typing import NamedTuple

from contracts.recommendation_arms import HELD_OUT, MAIN, parse_arms
from models.recommendation.request import ActionWeights

_PARTS = 1 << 64


class Arm(NamedTuple):
    """A group of visitors; `weights` replace those of the request, None leaves them."""

    name: str
    weights: ActionWeights | None = None


_MAIN = Arm(MAIN)


class Arms:
    """The arms of one shop; `salt` makes those of two shops independent."""

    def __init__(self, *, hold_out: float = 0.0, others: str = "", salt: str = "") -> None:
        """`others` as in `contracts.recommendation_arms.parse_arms`; raises `ValueError`."""
        self._salt = salt
        plans = parse_arms(others)
        self.shares: dict[str, float] = {HELD_OUT: hold_out} if hold_out else {}
        self.shares |= {name: plans[name].share for name in sorted(plans)}
        rest = 1.0 - sum(self.shares.values())
        if rest < -1e-9:
            raise ValueError("the hold-out and the arms have more than all visitors together")
        self.shares[MAIN] = max(0.0, rest)
        self._arms = {
            name: Arm(name, ActionWeights(plan.view, plan.cart, plan.purchase))
            for name, plan in plans.items()
        } | {HELD_OUT: Arm(HELD_OUT)}

    def find(self, visitor_id: str) -> Arm:
        """The arm of a visitor, always the same one while the shares stay."""
        if len(self.shares) == 1:
            return _MAIN
        digest = hashlib.blake2b(f"recommendations:{self._salt}:{visitor_id}".encode(), digest_size=8)
        place, end = int.from_bytes(digest.digest()), 0.0
        for name, share in self.shares.items():
            end += share
            if place < end * _PARTS:
                return self._arms.get(name, _MAIN)
        return _MAIN
