"""What a model said of a visitor's session, and what of it still waits to be judged."""

from functools import partial
from typing import Any, NamedTuple

SCALE = 10_000
"""Probabilities and effects are kept as whole multiples of 1/SCALE, so that a score read back is the same."""


class Score(NamedTuple):
    """One prediction for the session `session`, made after `actions` of its actions, the last at `at_ms`.

    The five `probabilities` of the next action are in the order of `models.next_action.actions.TARGETS`
    (view, cart, remove_from_cart, purchase, leave); `purchase` is that of a purchase later in the session.
    `reasons` are codes with their effect on it (log odds; negative: it lowers it), strongest first.
    """

    version: str
    at_ms: int
    actions: int
    session: int
    probabilities: tuple[float, ...]
    purchase: float
    reasons: tuple[tuple[str, float], ...] = ()


score_of = partial(tuple.__new__, Score)
"""Makes a score from a plain tuple with all fields in order, in half the time of calling the class."""


class Pending(NamedTuple):
    """Purchase predictions of one model for one session whose answer is not known: sums for either answer.

    Losses and squared errors are in millionths; `bins` has (bin, predictions, sum of their probabilities in
    1/SCALE) of each tenth of the probability that occurs.
    """

    version: str
    loss_if_bought: int
    loss_if_not: int
    brier_if_bought: int
    brier_if_not: int
    bins: tuple[tuple[int, int, int], ...]


class Unjudged(NamedTuple):
    """What is not judged yet of a visitor's predictions.

    `waiting` has version and distribution (in 1/SCALE) of every score whose next action has not come; it is
    more than one only after late events. `version` is the newest model that scored the visitor, empty for
    none; `closed` the number of the newest session that was judged as over.
    """

    waiting: tuple[tuple[str, tuple[int, ...]], ...] = ()
    pending: tuple[Pending, ...] = ()
    version: str = ""
    closed: int = 0


ALL_JUDGED = Unjudged()


def round_score(score: Score) -> Score:
    """The score as it will be read back: nothing is decided on one that has not been rounded."""
    version, at_ms, actions, session, probabilities, purchase, reasons = score
    return Score(
        version, at_ms, actions, session,
        tuple([round(p * SCALE) / SCALE for p in probabilities]), round(purchase * SCALE) / SCALE,
        tuple([(code, round(effect * SCALE) / SCALE) for code, effect in reasons]),
    )  # fmt: skip


def pack_score(score: Score) -> tuple[Any, ...]:
    """The score as plain values for msgpack: probabilities and effects as integers."""
    version, at_ms, actions, session, probabilities, purchase, reasons = score
    return (
        version, at_ms, actions, session, in_parts(probabilities), round(purchase * SCALE),
        tuple([(code, round(effect * SCALE)) for code, effect in reasons]),
    )  # fmt: skip


def unpack_score(fields: tuple[Any, ...]) -> Score:
    """The score in what `pack_score` gave."""
    version, at_ms, actions, session, probabilities, purchase, reasons = fields
    return Score(
        version, at_ms, actions, session,
        tuple([p / SCALE for p in probabilities]), purchase / SCALE,
        tuple([(code, effect / SCALE) for code, effect in reasons]),
    )  # fmt: skip


def pack_unjudged(unjudged: Unjudged) -> tuple[Any, ...]:
    """The predictions as plain values for msgpack; empty if nothing was ever predicted."""
    return () if unjudged == ALL_JUDGED else tuple(unjudged)


def unpack_unjudged(fields: tuple[Any, ...]) -> Unjudged:
    """The predictions in what `pack_unjudged` gave, lists instead of tuples too."""
    if not fields:
        return ALL_JUDGED
    waiting, pending, version, closed = fields
    return Unjudged(
        tuple([(name, tuple(parts)) for name, parts in waiting]),
        tuple([_pending(*sums) for sums in pending]),
        version,
        closed,
    )


def in_parts(probabilities: tuple[float, ...]) -> tuple[int, ...]:
    """Probabilities in 1/SCALE."""
    return tuple([round(p * SCALE) for p in probabilities])


def _pending(version: str, *sums: Any) -> Pending:
    return Pending(version, *sums)._replace(bins=tuple([tuple(parts) for parts in sums[-1]]))
