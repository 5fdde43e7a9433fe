"""Whether a churn alert had the grounds it needs beside a low chance: intent, being armed, its turn."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from contracts.alerts import Alert
from ops.audit.abandoned import CROSSING_MS, HELD_BACK_MS, Deed
from ops.audit.churn import ChurnRules
from ops.audit.churn_required import Life
from ops.audit.known import State, count_sessions, states_at
from ops.audit.scores import Case, ScoreReplay

Doubt = tuple[Alert, str, float, int]
"""An alert, what it lacks unless a score before it reached this chance, and since when (ms)."""


def lacks_grounds(
    firings: Iterable[tuple[Alert, Sequence[State]]],
    lives: Mapping[str, Sequence[Life]],
    deeds: Mapping[str, Sequence[Deed]],
    replay: ScoreReplay | None,
    rules: ChurnRules,
) -> list[tuple[Alert, str]]:
    """Alerts that could not fire, each with why; the states are those at which their chance is right."""
    wrong: list[tuple[Alert, str]] = []
    doubts: list[Doubt] = []
    for alert, states in firings:
        before = _before(alert, lives.get(alert.user_id, ()))
        if before is not None and _comes_too_soon(alert, before, rules):
            wrong.append((alert, "too soon after another"))
            continue
        if before is not None and before.firing.session == alert.session:
            since_ms = before.firing.fired_ms - rules.look_again_ms
            doubts.append((alert, "another fired and no chance was high again", rules.rearm, since_ms))
        if not alert.cart_lines and _is_counted_alike(alert, states, rules):
            doubts.append(
                (alert, "nothing in the cart and no chance was intent", rules.intent, alert.session_start_ms)
            )
    if replay is None:
        return wrong
    doubts = _unsettled(doubts, deeds, replay, CROSSING_MS)
    # What cannot be while workers keep up may be where partitions changed hands.
    return wrong + [doubt[:2] for doubt in _unsettled(doubts, deeds, replay, HELD_BACK_MS)]


def _before(alert: Alert, lives: Sequence[Life]) -> Life | None:
    """The last life in the log that began before this alert, if this alert is in the log."""
    before = None
    for life in lives:
        if life.firing == alert:
            return before
        before = life
    return None


def _comes_too_soon(alert: Alert, before: Life, rules: ChurnRules) -> bool:
    quiet_ms = max(before.firing.fired_ms + max(1, rules.cooldown_ms), before.end_ms)
    return alert.fired_ms < quiet_ms


def _is_counted_alike(alert: Alert, states: Sequence[State], rules: ChurnRules) -> bool:
    """Whether late events never changed the number of the session, and with it what was remembered of it."""
    return all(count_sessions(state, rules.idle_ms) == alert.session for state in states)


def _unsettled(
    doubts: Sequence[Doubt], deeds: Mapping[str, Sequence[Deed]], replay: ScoreReplay, crossing_ms: int
) -> list[Doubt]:
    """Those for which no state in that time can have had the chance they need."""
    cases: list[Case] = []
    places: list[tuple[Doubt, int, int]] = []
    for doubt in doubts:
        alert, _, _, since_ms = doubt
        states = list(_states_in(deeds[alert.user_id], since_ms, alert.fired_ms, crossing_ms))
        if None not in states:
            mine = [Case(alert.user_id, state) for state in states if state is not None]
            places.append((doubt, len(cases), len(cases) + len(mine)))
            cases += mine
    scored = replay.score(cases)
    return [
        doubt
        for doubt, start, end in places
        if all(one is not None and one.purchase[1] < doubt[2] for one in scored[start:end])
    ]


def _states_in(
    deeds: Sequence[Deed], since_ms: int, until_ms: int, crossing_ms: int
) -> Iterator[State | None]:
    """States in which the visitor may have been scored after an action in this time; None: too many."""
    for at_ms in sorted({deed.at_ms for deed in deeds if since_ms <= deed.at_ms <= until_ms}):
        states = states_at(deeds, at_ms, crossing_ms)
        yield from [None] if states is None else states
