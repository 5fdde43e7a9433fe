"""Alerts on held-back sessions: how many, how often right, which lost carts they reach, and how early."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from contracts.alerts import CART_ABANDONED, CHURN_RISK, FLAT_KINDS, Alert, AlertState
from contracts.events import EventType
from contracts.scores import Score, round_score
from contracts.settings import Settings
from contracts.visitor import Action, Visitor
from models.next_action.cases import PrefixSet
from models.next_action.predictor import Predictor
from stream.alerts.registry import AlertRules
from stream.scoring.predictions import Arrival, PredictionResults, judge_arrival, pass_silence, take_score
from stream.visitors.session import SessionSettings, absorb, end_session

CART, PURCHASE = EventType.CART.rank, EventType.PURCHASE.rank
LAST_MINUTE_MS = 60_000
_CHUNK = 512
_AFTER_ALL_MS = 1 << 60


EITHER, ADDED = "either", "churn_risk before cart_abandoned"
NAMES = (CHURN_RISK, CART_ABANDONED, EITHER, ADDED)
"""The rows at each threshold. The last is what `churn_risk` adds to the rule that waits for silence."""
NEVER_MS = -1


class Session(NamedTuple):
    """A session that is over. It ends `idle_ms` after its last action.

    `bought_ms` is the time of its last purchase, `NEVER_MS` if there is none.
    """

    user_id: str
    number: int
    start_ms: int
    last_ms: int
    has_cart: bool
    bought_ms: int

    @property
    def is_lost(self) -> bool:
        """Something was put into the cart and nothing bought."""
        return self.has_cart and self.bought_ms == NEVER_MS


@dataclass(frozen=True, slots=True)
class AlertTrial:
    """What the alerts of a row come to at one threshold.

    `alerts` counts every one of them, `outside` those in sessions without a cart; `right` is the share after
    which nothing more was bought in the session. All else is about sessions with a cart: `alerted` have an
    alert; `reached` is the share of the lost ones with an alert before the last minute of the session,
    `reached_acting` before the last minute in which the visitor did anything; `precision` is the share of
    lost ones among the alerted, `base_rate` among all. Leads are medians over the lost ones with an alert: to
    the session's end and to the last action, which an alert on silence comes after (then it is negative).

    In the row `ADDED`, `reached` and `reached_acting` are of the lost carts that only `churn_risk` reached in
    time, and all else is of alerts and sessions in which no `cart_abandoned` came before.
    """

    name: str
    threshold: float
    sessions: int
    lost: int
    alerts: int
    outside: int
    right: float
    alerted: int
    reached: float
    reached_acting: float
    precision: float
    base_rate: float
    lead_s: float
    lead_acting_s: float


class Scored(NamedTuple):
    """One visitor: every state after an action, without an predictions, and the score made of it."""

    user_id: str
    actions: Sequence[Action]
    states: Sequence[Visitor]
    scores: Sequence[Score]


def predict_all(predictor: Predictor, cases: PrefixSet) -> tuple[npt.NDArray[np.float32], ...]:
    """Next-action (n, 5) and purchase probabilities (n,) of all cases, short ones together."""
    cases = cases.with_rates(predictor.reads_rates)
    probabilities, purchase = np.empty((len(cases), 5), np.float32), np.empty(len(cases), np.float32)
    order = np.argsort(cases.length, kind="stable")
    for at in range(0, len(order), _CHUNK):
        places = order[at : at + _CHUNK]
        found = predictor.predict(*cases.inputs(places, with_ids=predictor.reads_ids))
        probabilities[places], purchase[places] = found.probabilities, found.purchase
    return probabilities, purchase


def score_visitors(
    by_visitor: Mapping[str, Sequence[Action]], cases: PrefixSet, predictor: Predictor, rules: SessionSettings
) -> list[Scored]:
    """States and scores of all visitors; `cases` are those of the same actions in the same order."""
    probabilities, purchase = predict_all(predictor, cases)
    scored, row = [], 0
    for user_id, actions in by_visitor.items():
        states, scores = [], []
        state: Visitor | None = None
        for action in actions:
            state, _ = absorb(state, [action], rules)
            head = state.head
            states.append(state)
            chances = tuple(probabilities[row].tolist())
            actions_seen = sum(head.counts)
            chance = float(purchase[row])
            score = Score(predictor.version, head.last_ms, actions_seen, head.number, chances, chance)
            scores.append(round_score(score))
            row += 1
        scored.append(Scored(user_id, actions, states, scores))
    return scored


def fire_alerts(scored: Iterable[Scored], rules: AlertRules) -> list[Alert]:
    """The alerts that the stream would have fired, had it scored every action."""
    prediction_results = PredictionResults()
    for user_id, actions, states, scores in scored:
        before: Visitor | None = None
        for action, state, score in zip(actions, states, scores, strict=True):
            predictions = judge_arrival(prediction_results, user_id, Arrival(before, [action], ()), rules)
            before = take_score(
                prediction_results, user_id, state._replace(predictions=predictions), score, rules
            )
        if before is not None:
            ended, _ = end_session(before, idle_ms=rules.idle_ms)
            pass_silence(prediction_results, user_id, ended, _AFTER_ALL_MS, rules)
    return [alert for alert in prediction_results.alerts if alert.state is AlertState.FIRING]


def held_back_sessions(scored: Iterable[Scored], cases: PrefixSet, *, from_ms: int) -> list[Session]:
    """The sessions that started at `from_ms` or later and are over for sure, by the order of `cases`."""
    found: dict[tuple[str, int], Session] = {}
    known, row = cases.known(), 0
    for user_id, actions, states, _ in scored:
        for action, state in zip(actions, states, strict=True):
            head = state.head
            place = user_id, head.number
            if head.start_ms >= from_ms and known[row]:
                bought_ms = found[place].bought_ms if place in found else NEVER_MS
                if action.rank == PURCHASE:
                    bought_ms = action.at_ms
                has_cart = head.counts[CART] > 0
                found[place] = Session(*place, head.start_ms, head.last_ms, has_cart, bought_ms)
            row += 1
    return list(found.values())


def try_threshold(
    scored: Sequence[Scored], sessions: Sequence[Session], settings: Settings, threshold: float
) -> list[AlertTrial]:
    """The trial of each row in `NAMES`, with churn_risk firing under `threshold`."""
    tried = AlertRules.of(
        settings.model_copy(
            update={
                "churn_fire": threshold,
                "churn_rearm": max(settings.churn_rearm, threshold),
                "churn_intent": max(settings.churn_intent, threshold),
            }
        )
    )
    by_place = {(session.user_id, session.number): session for session in sessions}
    fired = [
        Fired(by_place[place], alert.kind, alert.fired_ms)
        for alert in fire_alerts(scored, tried)
        if (place := (alert.subject.id, alert.detail.session)) in by_place
    ]
    return judge_alerts(sessions, fired, threshold, tried.idle_ms)


class Fired(NamedTuple):
    """An alert in a held-back session."""

    session: Session
    kind: str
    at_ms: int


def first_times(fired: Iterable[Fired]) -> dict[Session, int]:
    """When each session had its first of these alerts."""
    first: dict[Session, int] = {}
    for session, _, at_ms in fired:
        first[session] = min(first.get(session, at_ms), at_ms)
    return first


def judge_alerts(
    sessions: Sequence[Session], fired: Sequence[Fired], threshold: float, idle_ms: int
) -> list[AlertTrial]:
    """The trial of each row in `NAMES` by all alerts that fired in these sessions."""
    silence = first_times(one for one in fired if one.kind == CART_ABANDONED)
    rows = {
        CHURN_RISK: [one for one in fired if one.kind == CHURN_RISK],
        CART_ABANDONED: [one for one in fired if one.kind == CART_ABANDONED],
        EITHER: [one for one in fired if one.kind in FLAT_KINDS],
        ADDED: [
            one
            for one in fired
            if one.kind == CHURN_RISK and one.at_ms < silence.get(one.session, one.at_ms + 1)
        ],
    }
    return [
        _measure(name, threshold, sessions, rows[name], silence if name == ADDED else {}, idle_ms)
        for name in NAMES
    ]


def _measure(
    name: str,
    threshold: float,
    sessions: Sequence[Session],
    fired: Sequence[Fired],
    reached_anyway: Mapping[Session, int],
    idle_ms: int,
) -> AlertTrial:
    """`reached_anyway`: when other alerts came, whose reach does not count."""
    carts = [session for session in sessions if session.has_cart]
    lost = [session for session in carts if session.is_lost]
    first = first_times(fired)
    alerted = [session for session in carts if session in first]
    reached = {session for session in alerted if session.is_lost}

    def share_in_time(until: Callable[[Session], int]) -> float:
        def in_time(times: Mapping[Session, int], session: Session) -> bool:
            return session in times and until(session) - times[session] >= LAST_MINUTE_MS

        won = [one for one in reached if in_time(first, one) and not in_time(reached_anyway, one)]
        return len(won) / max(1, len(lost))

    return AlertTrial(
        name,
        threshold,
        len(carts),
        len(lost),
        len(fired),
        sum(not one.session.has_cart for one in fired),
        _share(sum(one.session.bought_ms < one.at_ms for one in fired), len(fired)),
        len(alerted),
        share_in_time(lambda session: session.last_ms + idle_ms),
        share_in_time(lambda session: session.last_ms),
        _share(len(reached), len(alerted)),
        len(lost) / max(1, len(carts)),
        _median_s([session.last_ms + idle_ms - first[session] for session in reached]),
        _median_s([session.last_ms - first[session] for session in reached]),
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _median_s(times_ms: Sequence[int]) -> float:
    return float(np.median(times_ms)) / 1_000 if times_ms else float("nan")
