"""A kind of alert about visitors as an extension adds it: a kind and a rule, and nothing else."""

# ruff: noqa: ARG002  # a rule is told more than this one needs

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from contracts.alerts import Alert, AlertKindSpec, Severity, fields
from contracts.events import EventType
from contracts.settings import Settings
from contracts.subjects import SubjectKind
from contracts.visitor import Action, Session
from contracts.visitor_alerts import KindState, VisitorAlerts
from models.silence import SilenceCurve
from stock_alerts import registered
from stream.alerts.registry import register_rule
from stream.alerts.rules import Decision, Fact, Firing, Silence, VisitorRule, VisitorView

FAVORITE, PURCHASE = EventType.FAVORITE.rank, EventType.PURCHASE.rank
SILENCE_MS = 120_000
TTL_MS = 600_000


class BrowseDetail(NamedTuple):
    """Views of the session."""

    views: int


BROWSING = AlertKindSpec(
    "browsing",
    "A visitor marked a favourite, or has looked at much and went silent",
    frozenset({SubjectKind.VISITOR}),
    BrowseDetail,
    {"views": fields.count},
)


class Browsing(VisitorRule):
    """Fires at a favourite, and after a silence in a session of three views; a purchase settles it."""

    kind = BROWSING.name
    cooldown_ms = 0
    concerns_all = True
    acts_on = frozenset({FAVORITE})

    def __init__(self, settings: Settings, _: SilenceCurve) -> None:
        self.idle_ms = settings.idle_ms

    @property
    def silence(self) -> Silence:
        return Silence(SILENCE_MS, Fact.NOT_BOUGHT, is_enough=False)

    def waits(self, kept: KindState, view: VisitorView) -> bool:
        return view.session.counts[0] >= 3

    def on_action(self, alerts: VisitorAlerts, view: VisitorView, action: Action) -> Decision:
        return alerts.of(self.kind), self._fire(view, action.at_ms)

    def on_silence(self, alerts: VisitorAlerts, view: VisitorView, at_ms: int) -> Decision:
        return alerts.of(self.kind), self._fire(view, at_ms)

    def is_settled(self, alert: Alert, rank: int, at_ms: int) -> bool:
        return rank == PURCHASE

    def expires_ms(self, alert: Alert, session: Session) -> int:
        return alert.fired_ms + TTL_MS

    def _fire(self, view: VisitorView, at_ms: int) -> Firing:
        return Firing(at_ms, Severity.LOW, BrowseDetail(view.session.counts[0]), ("looks around",))


@contextmanager
def browsing() -> Iterator[None]:
    """The kind and its rule are registered within."""
    with registered(BROWSING):
        register_rule(Browsing)
        yield
