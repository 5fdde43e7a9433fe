"""A shop's past in order of time, with online learning and budgets: which alerts the stream would fire."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from contracts.alert_budgets import parse_budgets
from contracts.alerts import Alert, AlertState
from contracts.buckets import GRAIN_MS, Metric
from contracts.events import Event
from contracts.scores import Score, round_score
from contracts.settings import Settings
from contracts.visitor import Action, Visitor
from models.next_action.predictor import Predictor
from models.next_action.prefixes import actions_by_visitor, prefixes_of_visitors
from models.online.replay import history_of, replay
from models.online.sums import Floats
from ops.learning.alert_evaluation import CART, NEVER_MS, PURCHASE, Session, predict_all
from stream.alerts.registry import AlertRules
from stream.batch.entries import Clock
from stream.batch.result import BatchResult
from stream.components.alert_use import NAME, PartitionUse
from stream.partitions.alert_gate import AlertGate
from stream.scoring.predictions import Arrival, judge_arrival, pass_silence, take_score, timer_of
from stream.visitors.session import SessionSettings, absorb, end_session

_AFTER_ALL_MS = 1 << 60


class Moment(NamedTuple):
    """An action in its place in the shop's time, and what is published after it."""

    user_id: str
    action: Action
    published: Floats
    is_proven: bool


@dataclass(frozen=True, slots=True)
class ReplayedAlerts:
    """What a replay came to: firings, the sessions that are over for sure, and how many began."""

    firings: list[Alert]
    sessions: list[Session]
    begun: int
    first_ms: int
    last_ms: int
    withheld: Mapping[str, int]


def replay_alerts(events: Sequence[Event], model: Predictor, settings: Settings) -> ReplayedAlerts:
    """The alerts of the stream's own steps, every action scored, with the budgets of the settings."""
    by_visitor = actions_by_visitor(events)
    cases = prefixes_of_visitors(by_visitor.values(), idle_ms=settings.idle_ms)
    order = np.argsort(cases.at_ms, kind="stable")  # that of `history_of`
    replayed = replay(history_of(cases, *predict_all(model, cases)))
    named = [(user_id, action) for user_id, actions in by_visitor.items() for action in actions]
    moments = [
        Moment(user_id, action, replayed.published[place], bool(replayed.is_proven[place]))
        for place, (user_id, action) in enumerate(named[case] for case in order)
    ]
    return _Shop(model.version, settings).run(moments, replayed.purchase_known.tolist())


class _Shop:
    """One partition of a stream that scores every action."""

    def __init__(self, version: str, settings: Settings) -> None:
        self._version = version
        self._gate = AlertGate(parse_budgets(settings.alert_budgets))
        self._rules = AlertRules.of(settings, gate=self._gate)
        self._sessions = SessionSettings(settings.idle_ms, settings.disorder_ms)
        self._visitors: dict[str, Visitor] = {}
        self._states = {NAME: PartitionUse()}
        self._due: list[tuple[int, str]] = []
        self._begun = 0
        self._firings: list[Alert] = []
        self._withheld: dict[str, int] = {}

    def run(self, moments: Sequence[Moment], known: Sequence[bool]) -> ReplayedAlerts:
        """Everything in order, and what falls due after the last of it.

        `known` says of every moment whether its session is over for sure.
        """
        sessions: dict[tuple[str, int], Session] = {}
        for moment, is_known in zip(moments, known, strict=True):
            user_id, action, *_ = moment
            self._pass_time(action.at_ms)
            head = self._act(moment).head
            if is_known:
                place = user_id, head.number
                bought_ms = sessions[place].bought_ms if place in sessions else NEVER_MS
                if action.rank == PURCHASE:
                    bought_ms = action.at_ms
                has_cart = head.counts[CART] > 0
                sessions[place] = Session(*place, head.start_ms, head.last_ms, has_cart, bought_ms)
        self._pass_time(_AFTER_ALL_MS)
        first_ms, last_ms = moments[0].action.at_ms, moments[-1].action.at_ms
        return ReplayedAlerts(
            self._firings, list(sessions.values()), self._begun, first_ms, last_ms, self._withheld
        )

    def _act(self, moment: Moment) -> Visitor:
        user_id, action, published, self._gate.is_proven = moment
        result = BatchResult(Clock(action.at_ms, action.at_ms))
        before = self._visitors.get(user_id)
        arrival = Arrival(before, [action], ())
        predictions = judge_arrival(result.prediction_results, user_id, arrival, self._rules)
        after, deltas = absorb(before, [action], self._sessions)
        begun = sum(change for (_, metric), change in deltas.items() if metric == Metric.SESSIONS)
        self._begun += begun
        result.counts.add_shop(action.at_ms - action.at_ms % GRAIN_MS["minute"], Metric.SESSIONS, begun)
        self._gate.begin(0, self._states, result)
        head = after.head
        score = round_score(
            Score(
                self._version,
                head.last_ms,
                sum(head.counts),
                head.number,
                tuple(published[:5].tolist()),
                float(published[5]),
            )
        )
        state = after._replace(predictions=predictions)
        state = take_score(result.prediction_results, user_id, state, score, self._rules)
        self._keep(user_id, state, result)
        return state

    def _pass_time(self, until_ms: int) -> None:
        while self._due and self._due[0][0] < until_ms:
            at_ms, user_id = heapq.heappop(self._due)
            visitor = self._visitors[user_id]
            if timer_of(visitor, self._rules) != at_ms:
                continue  # the visitor has acted since
            result = BatchResult(Clock(at_ms, at_ms))
            if visitor.head.last_ms + self._rules.idle_ms <= at_ms:
                visitor, _ = end_session(visitor, idle_ms=self._rules.idle_ms)
            visitor = pass_silence(result.prediction_results, user_id, visitor, at_ms + 1, self._rules)
            self._keep(user_id, visitor, result)

    def _keep(self, user_id: str, visitor: Visitor, result: BatchResult) -> None:
        self._gate.conclude(0, self._states, result)
        change = result.changes.get(NAME)
        if change is not None:
            self._states = {NAME: change.state}
        for candidate, withheld in result.prediction_results.decided:
            if withheld is not None:
                name = f"{candidate.kind}: {withheld}"
                self._withheld[name] = self._withheld.get(name, 0) + 1
        alerts = result.prediction_results.alerts
        self._firings += [alert for alert in alerts if alert.state is AlertState.FIRING]
        self._visitors[user_id] = visitor
        due_ms = timer_of(visitor, self._rules)
        if due_ms:
            heapq.heappush(self._due, (due_ms, user_id))
