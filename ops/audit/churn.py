"""Whether each churn alert could end as it did, by the events alone; see `churn_replay` for their firing."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.alerts import CHURN_RISK, Alert, AlertState
from contracts.settings import Settings
from ops.audit.abandoned import SentEvent, known_from_ms
from ops.audit.expected import PURCHASE

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class ChurnAlertRules:
    """What the alerts depend on: probabilities, and times in ms."""

    fire: float
    rearm: float
    intent: float
    idle_ms: int
    disorder_ms: int
    look_again_ms: int
    cart_idle_ms: int
    cooldown_ms: int
    ttl_ms: int
    needs_cart: bool = False
    earlier_workers: bool = False
    """Whether workers took part that said the chance of before the silence of an abandoned cart."""

    @classmethod
    def of(cls, settings: Settings) -> "ChurnAlertRules":
        """The rules in the settings."""
        return cls(
            settings.churn_fire, settings.churn_rearm, settings.churn_intent, settings.idle_ms,
            settings.disorder_ms, settings.look_again_ms, min(settings.cart_idle_ms, settings.idle_ms),
            settings.alert_cooldown_ms, settings.alert_ttl_ms, settings.churn_needs_cart,
        )  # fmt: skip


def end_faults(
    alerts: Iterable[Alert],
    sent_events: Mapping[str, Sequence[SentEvent]],
    clear: Collection[str],
    rules: ChurnAlertRules,
) -> list[str]:
    """In words, what cannot be in the ends of churn alerts of visitors who are `clear`; empty if all can."""
    faults = []
    for alert in alerts:
        ended = alert.state is not AlertState.FIRING
        if ended and alert.kind == CHURN_RISK and alert.subject.id in clear:
            fault = end_fault(alert, sent_events[alert.subject.id], rules)
            if fault:
                faults.append(f"alerts: {alert.record_id} of {alert.subject.id}: {fault}")
    more = [f"alerts: and {len(faults) - _SHOWN} more such"] if len(faults) > _SHOWN else []
    return faults[:_SHOWN] + more


def end_fault(alert: Alert, sent_events: Sequence[SentEvent], rules: ChurnAlertRules) -> str:
    """What cannot be in the last step of a churn alert, in words; empty if it can.

    Where events of the session came out of order, it may have fired before one of them was known.
    """
    first, last = _session_at(sent_events, alert.fired_ms, rules.idle_ms)
    if last < 0:
        return "it fired before the visitor's first action"
    if not _in_order(sent_events, first, last, rules):
        return ""
    if alert.state is AlertState.RESOLVED:
        bought = any(
            sent_event.rank == PURCHASE and sent_event.at_ms == alert.at_ms for sent_event in sent_events
        )
        return "" if bought else "it was resolved when nothing was bought"
    end = last
    while end + 1 < len(sent_events) and sent_events[end + 1].at_ms - sent_events[end].at_ms <= rules.idle_ms:
        if sent_events[end].at_ms >= alert.fired_ms + rules.ttl_ms:
            break
        end += 1
    expected_ms = min(sent_events[end].at_ms + rules.idle_ms, alert.fired_ms + rules.ttl_ms)
    if alert.at_ms != expected_ms:
        return f"it expired {alert.at_ms - expected_ms} ms after the session's end"
    return ""


def _session_at(sent_events: Sequence[SentEvent], at_ms: int, idle_ms: int) -> tuple[int, int]:
    """First and last place of the actions up to this moment in the session they are in; -1 for none."""
    last = -1
    while last + 1 < len(sent_events) and sent_events[last + 1].at_ms <= at_ms:
        last += 1
    first = last
    while first > 0 and sent_events[first].at_ms - sent_events[first - 1].at_ms <= idle_ms:
        first -= 1
    return first, last


def _in_order(sent_events: Sequence[SentEvent], first: int, last: int, rules: ChurnAlertRules) -> bool:
    """Whether all actions up to `last`, and those of the session around it, were known in their order."""
    if last > 0 and sent_events[last].at_ms == sent_events[last - 1].at_ms:
        return False  # it may have fired between the two
    places = range(max(0, first - 1), min(len(sent_events), last + 2))
    return all(
        known_from_ms(sent_events, place, rules.disorder_ms) <= sent_events[place].at_ms for place in places
    )
