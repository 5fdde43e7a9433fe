"""Rules and fields from outside: the compiled steps pass over no visitor that one of them needs."""

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from contracts.alerts import Alert, AlertKindSpec, Severity, register_kind
from contracts.alerts import kinds as alert_kinds
from contracts.scores import Score
from contracts.settings import Settings
from contracts.subjects import SubjectKind
from contracts.visitor import Action, Session, Visitor
from contracts.visitor_alerts import VisitorAlerts
from core_runs import LOW_SEED, CoreRuns, entries_of
from models.silence import SilenceCurve
from shoppers import SETTINGS, make_event
from stream.alerts import registry
from stream.alerts.registry import register_rule
from stream.alerts.rules import CART, Decision, Fact, Firing, Silence, VisitorRule, VisitorView
from stream.batch.step import StepSettings
from stream.visitors.fields import VisitorField

KINDS = ("view", "view", "view", "view", "favorite", "cart", "remove_from_cart", "purchase")
SILENCE_MS = 60_000


class Note(NamedTuple):
    """The detail of alerts of these tests."""

    reason: str


class Rule(VisitorRule):
    """Notes of whom it was asked and why, and fires each time."""

    kind = "noted"
    cooldown_ms = 0

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []

    @classmethod
    def of(cls, _: Settings, __: SilenceCurve) -> "Rule":
        return cls()

    def on_action(self, alerts: VisitorAlerts, view: VisitorView, action: Action) -> Decision:
        return self._note(alerts, view, "action", action.at_ms)

    def on_silence(self, alerts: VisitorAlerts, view: VisitorView, at_ms: int) -> Decision:
        return self._note(alerts, view, "silence", at_ms)

    def on_score(self, alerts: VisitorAlerts, view: VisitorView, score: Score) -> Decision:
        return self._note(alerts, view, "score", score.at_ms)

    def expires_ms(self, alert: Alert, session: Session) -> int:  # noqa: ARG002  # a rule's method
        return alert.fired_ms + 1_000

    def _note(self, alerts: VisitorAlerts, view: VisitorView, reason: str, at_ms: int) -> Decision:
        self.asked.append((reason, view.user_id, at_ms))
        return alerts.of(self.kind), Firing(at_ms, Severity.LOW, Note(reason))


class Undeclared(Rule):
    """Says nothing of whom it concerns."""


class AllSilent(Rule):
    """Concerns whoever is silent for a minute, and no action."""

    acts_on = frozenset()

    @property
    def silence(self) -> Silence:
        return Silence(SILENCE_MS, 0, is_enough=True)


class SilentCarts(Rule):
    """Concerns who leaves a cart alone for a minute."""

    concerns_all = False
    acts_on = frozenset()

    @property
    def silence(self) -> Silence:
        return Silence(SILENCE_MS, Fact.CART, is_enough=False)

    def heeds(self, session: Session, score: Score) -> bool:  # noqa: ARG002  # a rule's method
        return bool(session.cart)


class CartsOnly(Rule):
    """Concerns who puts something into the cart."""

    concerns_all = False
    acts_on = frozenset({CART})

    def heeds(self, session: Session, score: Score) -> bool:  # noqa: ARG002  # a rule's method
        return False


def settings_with(monkeypatch: pytest.MonkeyPatch, rule: type[Rule], **fields: Any) -> StepSettings:
    """Settings of the step with this rule registered beside the product's."""
    monkeypatch.setattr(alert_kinds, "_kinds", dict(alert_kinds._kinds))
    monkeypatch.setattr(registry, "_makers", list(registry._makers))
    register_kind(AlertKindSpec("noted", "A test", frozenset({SubjectKind.VISITOR}), Note, {"reason": _text}))
    register_rule(rule.of)
    return StepSettings.of(SETTINGS, **fields)


def _text(_: str, value: object) -> str:
    return str(value)


def run(runs: CoreRuns, *, seed: int, batches: int = 40, scores_seed: int | None = None) -> None:
    """Let a few visitors do something in some batches, and time pass after each."""
    draw = random.Random(seed)
    at_s, sent = 0.0, 0
    for _ in range(batches):
        events = []
        for _ in range(draw.randrange(6)):
            at_s += draw.choice((0.0, 1.0, 15.0, 59.0, 61.0, 400.0, 2_000.0))
            sent += 1
            user = f"u{draw.randrange(5)}"
            events.append((make_event(draw.choice(KINDS), at_s, user=user, event_id=f"e{sent}"), 0))
        runs.apply(entries_of(events), scores_seed=scores_seed)
        runs.pass_time(runs.python.clock.max_event_ms - draw.choice((0, 30_000)))
    runs.pass_time(runs.python.clock.max_event_ms + 10**9)


def asked(runs: CoreRuns) -> list[list[tuple[str, str, int]]]:
    """What each implementation asked the rule."""
    found = []
    for each in (runs.python, runs.compiled):
        rule = each.rules.alerts.by_kind["noted"]
        assert isinstance(rule, Rule)
        found.append(rule.asked)
    return found


@pytest.mark.parametrize("rule", [Undeclared, AllSilent, SilentCarts, CartsOnly])
@pytest.mark.parametrize("scores_seed", [None, LOW_SEED, 1])
def test_both_ask_a_rule_the_same(
    monkeypatch: pytest.MonkeyPatch, rule: type[Rule], scores_seed: int | None
) -> None:
    for seed in range(8):
        runs = CoreRuns(lambda: settings_with(monkeypatch, rule))
        run(runs, seed=seed, scores_seed=scores_seed)
        python, compiled = asked(runs)
        assert compiled == python
        assert python
        assert any(alert.kind == "noted" for alert in runs.compiled.alerts)


def test_a_rule_that_declares_nothing_is_asked_about_every_action_of_every_visitor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = CoreRuns(lambda: settings_with(monkeypatch, Undeclared))
    events = [make_event(kind, i * 7.0, user=f"u{i % 3}") for i, kind in enumerate(KINDS * 4)]
    for start in range(0, len(events), 5):
        runs.apply(entries_of([(event, 0) for event in events[start : start + 5]]))
    expected = Counter(("action", event.user_id, event.event_time_ms) for event in events)
    for found in asked(runs):
        assert Counter(found) == expected


def test_a_rule_about_silence_is_asked_about_visitors_without_a_cart(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = CoreRuns(lambda: settings_with(monkeypatch, AllSilent))
    event = make_event("view", 0.0)
    runs.apply(entries_of([(event, 0)]))
    runs.pass_time(event.event_time_ms + SILENCE_MS + 1)
    for found in asked(runs):
        assert found == [("silence", "u1", event.event_time_ms + SILENCE_MS)]


def test_a_rule_about_carts_is_not_asked_about_others(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = CoreRuns(lambda: settings_with(monkeypatch, CartsOnly))
    events = [make_event(kind, i * 1.0, user=f"u{i}") for i, kind in enumerate(("view", "cart", "favorite"))]
    runs.apply(entries_of([(event, 0) for event in events]))
    for found in asked(runs):
        assert found == [("action", "u1", events[1].event_time_ms)]


def count_views(value: int | None, before: Visitor | None, events: Sequence[Any]) -> int | None:  # noqa: ARG001
    """A field that is there from the first view on and goes with every tenth."""
    number = (value or 0) + sum(event.event_type == "view" for event in events)
    return None if number % 10 == 0 else number


def test_fields_and_new_events_of_visitors_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = (VisitorField("views", count_views),)
    for seed in range(8):
        runs = CoreRuns(
            lambda: settings_with(monkeypatch, CartsOnly, keeps_events=True, visitor_fields=fields)
        )
        run(runs, seed=seed, scores_seed=1)
        assert any(visitor.extra for visitor in runs.compiled.visitors.values())
