"""What a rule about visitors is: when it is asked, and what it says.

The general steps (`stream.alerts.steps`) know no rule by name. They see to ids, episodes, the cool-down and
that one alert of a kind is open at most, and ask a rule only where its declaration says that it may matter.
"""

from enum import IntFlag
from typing import Any, NamedTuple

from contracts.alerts import Alert, Severity
from contracts.events import EventType
from contracts.scores import Score
from contracts.visitor import Action, Session, Tail
from contracts.visitor_alerts import KindState, VisitorAlerts

CART, PURCHASE = EventType.CART.rank, EventType.PURCHASE.rank
EVERY_RANK = frozenset(event_type.rank for event_type in EventType)


class VisitorView(NamedTuple):
    """A visitor as a decision sees it. `score` is None, or the one made after the session's last action.

    `previous` is the one before a new score, of whatever session.
    """

    user_id: str
    first_ms: int
    session: Session
    tail: Tail | None
    score: Score | None
    previous: Score | None = None


class Fact(IntFlag):
    """What can be seen of a visitor without asking a rule."""

    CART = 1
    """Something is in the cart, also from an earlier session."""
    ADDED = 2
    """Something was put into the cart in this session."""
    NOT_BOUGHT = 4
    """Nothing was bought in this session."""
    SCORED = 8
    """There is a score of the session's last action."""


_CART, _ADDED, _NOT_BOUGHT, _SCORED = (fact.value for fact in Fact)  # plain numbers: ten times as quick


def facts_of(session: Session, score: Score | None) -> int:
    """The facts, as one number; `score` is None unless it is that of the session's last action."""
    counts = session.counts
    facts = _CART if session.cart else 0
    if counts[CART]:
        facts |= _ADDED
    if not counts[PURCHASE]:
        facts |= _NOT_BOUGHT
    return facts if score is None else facts | _SCORED


class Silence(NamedTuple):
    """A silence a rule decides on: `after_ms` without an action, of a visitor with all facts in `needs`.

    `is_enough` says that the rule decides on every one of them; otherwise it is asked first (`waits`).
    """

    after_ms: int
    needs: int
    is_enough: bool


class Firing(NamedTuple):
    """Why and when an alert fires, and what it says.

    `rank` says how urgent it is among those of its kind, for budgets (`models.alert_threshold`), `before`
    what it was when the visitor was last looked at (0: no candidate). One that `needs_model` rests on the
    score.
    """

    at_ms: int
    severity: Severity
    detail: Any
    reasons: tuple[str, ...] = ()
    model: str | None = None
    threshold: float | None = None
    rank: int = 0
    before: int = 0
    needs_model: bool = False


Decision = tuple[KindState, Firing | None]
"""What is kept of the kind from now on, and the alert to fire if none is open and the cool-down is over."""


def may_fire(alerts: VisitorAlerts, kind: str, at_ms: int) -> bool:
    """Whether no alert of the kind is open and the cool-down is over."""
    if at_ms < alerts.of(kind).quiet_until_ms:
        return False
    return not alerts.open or alerts.open_of(kind) is None


# ruff: noqa: ARG002  # the defaults below say what a rule does that is not asked
class VisitorRule:
    """One kind of alerts about visitors: a subclass says when its alerts fire, are settled and expire.

    A rule that declares nothing is asked about every visitor and after every action. One that says that it
    does not concern all is asked only if something is or was put into the cart, an alert of any kind is open,
    or a rule has set `intent`; else nothing of it is kept. `acts_on` are the ranks of the actions after which
    `on_action` is asked, whoever the visitor is. Most visitors are passed over only while no rule needs them.
    """

    kind: str
    cooldown_ms: int
    """Shortest time between two alerts of the kind."""
    concerns_all: bool = True
    acts_on: frozenset[int] = EVERY_RANK

    @property
    def silence(self) -> Silence | None:
        """The silence it decides on, if there is one; the same for all visitors."""
        return None

    def on_action(self, alerts: VisitorAlerts, view: VisitorView, action: Action) -> Decision:
        """Decide after an action in `acts_on`, the last of the session."""
        return alerts.of(self.kind), None

    def heeds(self, session: Session, score: Score) -> bool:
        """Whether this score can matter in a session of which nothing is kept yet."""
        return True

    def on_score(self, alerts: VisitorAlerts, view: VisitorView, score: Score) -> Decision:
        """Decide on a new score of the session's last action."""
        return alerts.of(self.kind), None

    def waits(self, kept: KindState, view: VisitorView) -> bool:
        """Whether to decide on the silence that has begun, where the facts alone do not say so."""
        return True

    def on_silence(self, alerts: VisitorAlerts, view: VisitorView, at_ms: int) -> Decision:
        """Decide on a silence that has lasted `silence.after_ms`, at this moment (event time)."""
        return alerts.of(self.kind), None

    def after_firing(self, kept: KindState) -> KindState:
        """What is kept once an alert has fired, beside its episode and its cool-down."""
        return kept

    def is_settled(self, alert: Alert, rank: int, at_ms: int) -> bool:
        """Whether an action of this rank resolves an open alert."""
        return False

    def expires_ms(self, alert: Alert, session: Session) -> int:
        """When an open alert expires if this is the visitor's session and nothing else happens."""
        raise NotImplementedError
