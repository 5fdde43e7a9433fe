"""Chances of a purchase the stream told of - in alerts, in visitors' states - against the replay's own."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from contracts.alerts import CART_ABANDONED, Alert
from contracts.predictions import Predictions
from ops.audit.abandoned import SentEvent, known_from_ms
from ops.audit.churn import ChurnAlertRules
from ops.audit.known import State, cart_of, has_bought, session_of, states_at
from ops.audit.price_track import Span
from ops.audit.scores import MANY_LEVELS, Case, Chances, ScoreReplay


class StatedChance(NamedTuple):
    """A chance of a purchase in an alert or in a visitor's state.

    `moments` are the times (ms) the score's last action may have, each with the silence after it (ms) at
    which the chance was named, 0 for none. `alert` is a churn alert, whose own facts must be those of the
    state; `predictions` are those of the visitor whose state told of the chance.
    """

    name: str
    user_id: str
    version: str
    purchase: float
    moments: tuple[tuple[int, int], ...]
    alert: Alert | None = None
    predictions: Predictions | None = None


class Finding(StrEnum):
    """What the replay says of a chance: that it holds, that it cannot be, or why it cannot tell."""

    HOLDS = "as replayed"
    CANNOT_BE = "not as replayed"
    OTHER_MODEL = "made by another model"
    NO_ORDER = "came after too many events at once"
    NO_LEVEL = "made before the price level settled"


class Verified(NamedTuple):
    """What is found of it: the range of the chance of leaving where it holds, why where it cannot be."""

    finding: Finding
    leave: Span = (0.0, 1.0)
    why: str = ""


Plan = list[tuple[State, int]]
"""States to score, each with the silence (ms) after which the chance would be named."""


def chance_in_alert(alert: Alert, rules: ChurnAlertRules) -> StatedChance | None:
    """The chance in a firing alert; None if no score was there."""
    if alert.detail.purchase is None or alert.model is None:
        return None
    name, user, version, purchase = alert.record_id, alert.subject.id, alert.model, alert.detail.purchase
    if alert.kind == CART_ABANDONED:
        acted_ms = alert.fired_ms - rules.cart_idle_ms
        silences_ms = (rules.cart_idle_ms, 0) if rules.earlier_workers else (rules.cart_idle_ms,)
        return StatedChance(name, user, version, purchase, tuple((acted_ms, ms) for ms in silences_ms))
    moments = ((alert.fired_ms, 0), (alert.fired_ms - rules.look_again_ms, rules.look_again_ms))
    return StatedChance(name, user, version, purchase, moments, alert)


def chance_in_state(user_id: str, predictions: Predictions, last_ms: int) -> StatedChance | None:
    """The chance in a visitor's state; None if there is no score of the last action."""
    score = predictions.score
    if score is None or score.at_ms != last_ms:
        return None
    moments = ((score.at_ms, 0),)
    return StatedChance(user_id, user_id, score.version, score.purchase, moments, predictions=predictions)


def verify(
    chances: Sequence[StatedChance],
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay | None,
    rules: ChurnAlertRules,
) -> list[Verified]:
    """What the replay says of each; without one they are all of another model.

    Those that do not hold at a few price levels are compared at many.
    """
    if replay is None:
        return [Verified(Finding.OTHER_MODEL)] * len(chances)
    cases: list[Case] = []
    plans: list[tuple[int, Plan | Finding]] = []
    for stated in chances:
        plan = _plan(stated, sent_events.get(stated.user_id, ()), replay.version, rules)
        plans.append((len(cases), plan))
        if not isinstance(plan, Finding):
            cases += [Case(stated.user_id, state) for state, _ in plan]
    scored = replay.score(cases)
    found = [
        Verified(plan) if isinstance(plan, Finding) else _compare(stated, plan, scored[at : at + len(plan)])
        for stated, (at, plan) in zip(chances, plans, strict=True)
    ]
    for place, (stated, (at, plan)) in enumerate(zip(chances, plans, strict=True)):
        if found[place].finding is Finding.CANNOT_BE and not isinstance(plan, Finding):
            closer = replay.score(cases[at : at + len(plan)], MANY_LEVELS)
            found[place] = _compare(stated, plan, closer)
    return found


def _plan(
    stated: StatedChance, sent_events: Sequence[SentEvent], version: str, rules: ChurnAlertRules
) -> Plan | Finding:
    """The states at which the chance may have been stated."""
    if stated.version != version:
        return Finding.OTHER_MODEL
    plan: Plan = []
    for at_ms, silence_ms in stated.moments:
        is_silent = bool(silence_ms) and stated.alert is not None
        states = states_at(sent_events, at_ms)
        if states is None:
            return Finding.NO_ORDER
        if is_silent and not _may_be_silent(sent_events, at_ms, rules):
            continue
        fitting = [state for state in states if _fits(stated, state, rules)]
        # A late action that was never scored changes what the alert says, and leaves the older score to it.
        plan += [(state, silence_ms) for state in (states if is_silent and fitting else fitting)]
    return plan


def _may_be_silent(sent_events: Sequence[SentEvent], at_ms: int, rules: ChurnAlertRules) -> bool:
    """Whether nothing that came in time happened until the look after this moment."""
    return not any(
        at_ms < sent_event.at_ms <= at_ms + rules.look_again_ms
        and known_from_ms(sent_events, place, rules.disorder_ms) <= sent_event.at_ms
        for place, sent_event in enumerate(sent_events)
    )


def _fits(stated: StatedChance, state: State, rules: ChurnAlertRules) -> bool:
    """Whether what else was told is so in this state."""
    session = session_of(state, rules.idle_ms)
    score = stated.predictions and stated.predictions.score
    if score and score.actions != len(session):
        return False
    alert = stated.alert
    return alert is None or (
        alert.detail.session_start_ms == session[0].at_ms
        and alert.detail.cart_lines == len(cart_of(state))
        and not has_bought(session)
    )


def _compare(stated: StatedChance, plan: Plan, scored: Sequence[Chances | None]) -> Verified:
    leaving = []
    for (_, silence_ms), chances in zip(plan, scored, strict=True):
        if chances is not None:
            low, high = chances.purchase[silence_ms]
            if low <= stated.purchase <= high:
                leaving.append(chances.leave)
    if not plan:
        return Verified(Finding.CANNOT_BE, why="no state of the visitor at that moment is as it says")
    if leaving:
        lows, highs = zip(*leaving, strict=True)
        return Verified(Finding.HOLDS, (min(lows), max(highs)))
    found = [
        _describe(state, silence_ms, chances.purchase[silence_ms])
        for (state, silence_ms), chances in zip(plan, scored, strict=True)
        if chances is not None
    ]
    if len(found) < len(plan):
        return Verified(Finding.NO_LEVEL)
    return Verified(Finding.CANNOT_BE, why=", or ".join(found))


def _describe(state: State, silence_ms: int, chance: Span) -> str:
    low, high = chance
    silence = f" and {silence_ms} ms of silence" if silence_ms else ""
    return f"replayed {low:.4f} to {high:.4f} after {len(state)} events up to {state[-1].at_ms}{silence}"
