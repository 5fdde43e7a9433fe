"""Alerts on held-back sessions: how many lost carts they reach, how often they are right, how early."""

from collections.abc import Iterable, Mapping, Sequence
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


class CartSession(NamedTuple):
    """A session with something put into the cart. It ends `idle_ms` after its last action."""

    user_id: str
    number: int
    start_ms: int
    last_ms: int
    bought: bool


@dataclass(frozen=True, slots=True)
class AlertTrial:
    """What alerts of the kinds in `kinds` come to at one threshold.

    `reached` is the share of the lost cart sessions (nothing bought) with an alert before the last minute of
    the session, `reached_acting` the same before the last minute in which the visitor did anything.
    `precision` is the share of lost ones among the cart sessions with an alert, `base_rate` among all. Leads
    are medians over the lost ones with an alert: to the session's end and to the last action, which an alert
    on silence comes after (then it is negative).
    """

    kinds: tuple[str, ...]
    threshold: float
    sessions: int
    lost: int
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


def cart_sessions(scored: Iterable[Scored], *, from_ms: int) -> list[CartSession]:
    """The cart sessions that started at `from_ms` or later."""
    found: dict[tuple[str, int], CartSession] = {}
    for user_id, _, states, _ in scored:
        for state in states:
            head = state.head
            if head.counts[CART] and head.start_ms >= from_ms:
                bought = head.counts[PURCHASE] > 0
                found[user_id, head.number] = CartSession(
                    user_id, head.number, head.start_ms, head.last_ms, bought
                )
    return list(found.values())


def try_threshold(
    scored: Sequence[Scored], sessions: Sequence[CartSession], settings: Settings, threshold: float
) -> list[AlertTrial]:
    """The trial of each kind of alert, and of both together, with churn_risk firing under `threshold`."""
    tried = AlertRules.of(
        settings.model_copy(
            update={
                "churn_fire": threshold,
                "churn_rearm": max(settings.churn_rearm, threshold),
                "churn_intent": max(settings.churn_intent, threshold),
            }
        )
    )
    first: dict[tuple[str, int, str], int] = {}
    for alert in fire_alerts(scored, tried):
        place = alert.subject.id, alert.detail.session, alert.kind
        first[place] = min(first.get(place, alert.fired_ms), alert.fired_ms)
    groups = ((CHURN_RISK,), (CART_ABANDONED,), FLAT_KINDS)
    return [_measure(kinds, threshold, sessions, first, tried.idle_ms) for kinds in groups]


def _measure(
    kinds: tuple[str, ...],
    threshold: float,
    sessions: Sequence[CartSession],
    first: Mapping[tuple[str, int, str], int],
    idle_ms: int,
) -> AlertTrial:
    lost = [session for session in sessions if not session.bought]
    fired: dict[CartSession, int] = {}
    for session in sessions:
        keys = [(session.user_id, session.number, kind) for kind in kinds]
        times = [first[key] for key in keys if key in first]
        if times:
            fired[session] = min(times)
    leads = [session.last_ms + idle_ms - fired[session] for session in lost if session in fired]
    acting = [session.last_ms - fired[session] for session in lost if session in fired]
    return AlertTrial(
        kinds,
        threshold,
        len(sessions),
        len(lost),
        len(fired),
        sum(lead >= LAST_MINUTE_MS for lead in leads) / max(1, len(lost)),
        sum(lead >= LAST_MINUTE_MS for lead in acting) / max(1, len(lost)),
        len(leads) / len(fired) if fired else float("nan"),
        len(lost) / max(1, len(sessions)),
        float(np.median(leads)) / 1_000 if leads else float("nan"),
        float(np.median(acting)) / 1_000 if acting else float("nan"),
    )
