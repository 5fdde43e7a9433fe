"""The rules about visitors that there are, and what they declare together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from contracts.alerts import find_kind
from contracts.settings import Settings
from contracts.subjects import SubjectKind
from models.silence import DEFAULT_CURVE, SilenceCurve
from stream.alerts.cart_abandoned import CartAbandoned
from stream.alerts.churn_risk import ChurnRisk
from stream.alerts.gate import Gate
from stream.alerts.hold_out import HoldOut
from stream.alerts.rules import CART, Silence, VisitorRule

RuleMaker = Callable[[Settings, SilenceCurve], VisitorRule]
"""Makes a rule from the settings, and from what silence says of a visitor."""


class InvalidRule(ValueError):
    """A rule for a kind of alert that is not registered, is not about visitors or has a rule already."""


_makers: list[RuleMaker] = [ChurnRisk.of, CartAbandoned.of]


def register_rule(maker: RuleMaker) -> None:
    """Let workers decide by one more rule; its kind must be registered (`contracts.alerts.register_kind`)."""
    if maker not in _makers:
        _makers.append(maker)


class Deadline(NamedTuple):
    """A silence after which a rule decides, see `stream.alerts.rules.Silence`; `kind` is its alerts'."""

    kind: str
    after_ms: int
    needs: int
    is_enough: bool


class Calm(NamedTuple):
    """What leaves every rule alone, read once per batch by the steps that pass over most visitors.

    A visitor without an open alert whose actions come after silences of `silence_ms` at most and have no
    rank in `acts_on` needs no decision, unless `concerns_all`. Nothing is kept of one without `intent` in any
    kind, with nothing in the cart and without an action of a rank in `stakes`. If silent from the last action
    on, the next decision is at the earliest of the `deadlines` whose facts the visitor has, none of which is
    decided before `quiet_until_ms` of its kind; one that `is_enough` does not say must be asked for.
    """

    silence_ms: int
    stakes: frozenset[int]
    acts_on: frozenset[int]
    concerns_all: bool
    deadlines: tuple[Deadline, ...]


@dataclass(frozen=True, slots=True)
class AlertRules:
    """The rules with the settings they go by, in the order in which they are asked."""

    idle_ms: int
    rules: tuple[VisitorRule, ...]
    silences: tuple[tuple[int, VisitorRule, Silence | None], ...]
    """Place of each rule, the rule, and the silence it decides on."""
    by_kind: Mapping[str, VisitorRule]
    scored: tuple[VisitorRule, ...]
    """Those that decide on scores."""
    calm: Calm
    currency: str
    watch_ms: int
    """So long what is bought is followed after an alert."""
    per_visitor: int
    """Alerts of all kinds that a visitor may have within that time."""
    hold_out: HoldOut
    gate: Gate

    @classmethod
    def of(cls, settings: Settings, curve: SilenceCurve = DEFAULT_CURVE, *, gate: Gate | None = None) -> Self:
        """All registered rules; without a `gate` every alert fires. Raises `InvalidRule`."""
        rules = tuple([make(settings, curve) for make in _makers])
        by_kind: dict[str, VisitorRule] = {}
        for rule in rules:
            spec = find_kind(rule.kind)
            if spec is None or SubjectKind.VISITOR not in spec.subjects:
                raise InvalidRule(f"{rule.kind!r} is not registered as a kind of alert about visitors")
            if rule.kind in by_kind:
                raise InvalidRule(f"{rule.kind!r} has two rules")
            by_kind[rule.kind] = rule
        silences = tuple([_in_numbers(rule.silence) for rule in rules])
        return cls(
            settings.idle_ms,
            rules,
            tuple([(place, rule, silences[place]) for place, rule in enumerate(rules)]),
            by_kind,
            tuple([rule for rule in rules if type(rule).on_score is not VisitorRule.on_score]),
            _calm(settings.idle_ms, rules, silences),
            settings.currency,
            settings.alert_watch_ms,
            settings.alerts_per_visitor,
            HoldOut(settings.alert_hold_out, settings.namespace),
            gate or Gate(),
        )


def _in_numbers(silence: Silence | None) -> Silence | None:
    """With its facts as a plain number: an operation on a flag takes ten times as long."""
    return None if silence is None else silence._replace(needs=int(silence.needs))


def _calm(idle_ms: int, rules: tuple[VisitorRule, ...], silences: tuple[Silence | None, ...]) -> Calm:
    deadlines = tuple(
        [
            Deadline(rule.kind, *silence)
            for rule, silence in zip(rules, silences, strict=True)
            if silence is not None
        ]
    )
    acts_on: frozenset[int] = frozenset().union(*[rule.acts_on for rule in rules])
    return Calm(
        min([idle_ms, *[deadline.after_ms for deadline in deadlines]]),
        acts_on | {CART},
        acts_on,
        any(rule.concerns_all for rule in rules),
        deadlines,
    )
