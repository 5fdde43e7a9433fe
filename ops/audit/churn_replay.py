"""Churn alerts against a replay that scores visitors anew: none invented, none of those that must be lost."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.alerts import CART_ABANDONED, CHURN_RISK, Alert, AlertState
from contracts.predictions import NO_PREDICTIONS, Predictions
from ops.audit.abandoned import FOREVER_MS, SentEvent
from ops.audit.churn import ChurnAlertRules
from ops.audit.churn_preconditions import unjustified_firings
from ops.audit.churn_required import AlertLifetime, Evidence, Need, need_at
from ops.audit.scores import ScoreReplay
from ops.audit.stated_chances import Finding, StatedChance, Verified, chance_in_alert, chance_in_state, verify
from ops.audit.worthy import check_worthy, is_in_time

NOT_SCORED = "with no score of the last action"
"""Skipped, or the next action was in the same batch."""


@dataclass(slots=True)
class ChurnAudit:
    """What became of `churn_risk`. `fired` are distinct firings in the log of alerts.

    `replayed` of them were found at a state of the visitor that the replay scores alike; `forgotten` are such
    that are in the topic only, from before Redis lost them; `invented` were found at no state. `required`
    must be there whatever the batches were, and `lost` of these are not. `scores` are chances in visitors'
    states and abandoned carts that the replay finds alike, `unlike` those it does not. `scored` and `skipped`
    are the visitors of all batches in Redis by whether the model answered. Of those who acted last without
    faults `worthy` had a cart or intent, and `unscored` of these have no score of their last action. `exempt`
    counts, by reason, firings and chances that cannot be checked.
    """

    fired: int = 0
    replayed: int = 0
    forgotten: int = 0
    invented: int = 0
    required: int = 0
    lost: int = 0
    scores: int = 0
    unlike: int = 0
    scored: int = 0
    skipped: int = 0
    worthy: int = 0
    unscored: int = 0
    exempt: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """Names of what is wrong, by what it is."""

    def count_exempt(self, reason: str, number: int = 1) -> None:
        """Count what cannot be checked."""
        if number:
            self.exempt[reason] = self.exempt.get(reason, 0) + number

    def note(self, what: str, names: Sequence[str]) -> int:
        """Keep what is wrong; returns how many there are."""
        if names:
            self.wrong[what] = sorted(names)
        return len(names)


@dataclass(frozen=True, slots=True)
class ScoreRecords:
    """Everything that tells of scores: steps in the log, those in the topic that differ, visitors' states.

    `counters` are the stream's own; None: they are not known. From `calm_from_ms` on there was no fault, so
    that visitors with a cart or intent may wait for a score, but never stay without; None: there was no such
    time.
    """

    log: Sequence[Alert]
    topic: Sequence[Alert]
    predictions: Mapping[str, Predictions]
    counters: Mapping[str, int] | None = None
    calm_from_ms: int | None = None


def audit_churn(
    records: ScoreRecords,
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay | None,
    rules: ChurnAlertRules,
) -> ChurnAudit:
    """The audit; without a replay no chance is checked, but what follows from those told of still is."""
    audit = ChurnAudit()
    lifetimes = lifetimes_of(records.log)
    audit.fired = sum(map(len, lifetimes.values()))
    firings = {lifetime.firing for mine in lifetimes.values() for lifetime in mine}
    firings |= {alert for alert in records.topic if _is_churn(alert) and alert.state is AlertState.FIRING}
    _check_firings(audit, sorted(firings, key=_order), lifetimes, sent_events, replay, rules)
    evidence = _check_scores(audit, records, sent_events, replay, rules)
    _check_required(audit, evidence, sent_events, lifetimes, rules)
    if records.calm_from_ms is not None:
        audit.worthy, unscored = check_worthy(records.predictions, sent_events, rules, records.calm_from_ms)
        audit.unscored = audit.note("visitors with a cart or intent stayed without a score", unscored)
    if records.counters is not None:
        audit.scored, audit.skipped = records.counters["scored"], records.counters["skipped"]
    return audit


def lifetimes_of(log: Iterable[Alert]) -> dict[str, list[AlertLifetime]]:
    """The churn alerts of each visitor in the order of their firing; one that never ended ends never."""
    steps = [alert for alert in log if _is_churn(alert)]
    ends = {alert.alert_id: alert.at_ms for alert in steps if alert.state is not AlertState.FIRING}
    lifetimes: dict[str, list[AlertLifetime]] = defaultdict(list)
    for alert in sorted(steps, key=_order):
        if alert.state is AlertState.FIRING:
            lifetimes[alert.subject.id].append(AlertLifetime(alert, ends.get(alert.alert_id, FOREVER_MS)))
    return lifetimes


def _check_firings(
    audit: ChurnAudit,
    firings: Sequence[Alert],
    lifetimes: Mapping[str, Sequence[AlertLifetime]],
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay | None,
    rules: ChurnAlertRules,
) -> None:
    stated: list[StatedChance] = []
    wrong = []
    for alert in firings:
        chance = chance_in_alert(alert, rules)
        if chance is None or alert.threshold != rules.fire or chance.purchase >= rules.fire:
            wrong.append(f"{alert.record_id} at {alert.detail.purchase} under {alert.threshold}")
        else:
            stated.append(chance)
    found = verify(stated, sent_events, replay, rules)
    unjustified = unjustified_firings(
        [t.alert for t, v in zip(stated, found, strict=True) if v.finding is Finding.HOLDS and t.alert],
        lifetimes, sent_events, replay, rules,
    )  # fmt: skip
    wrong += [f"{alert.record_id}: {why}" for alert, why in unjustified]
    wrong += _names(stated, found)
    audit.invented = audit.note("churn alerts that the replay does not know", wrong)
    bad = {alert for alert, _ in unjustified}
    good = {t.alert for t, v in zip(stated, found, strict=True) if v.finding is Finding.HOLDS} - bad
    audit.replayed = len(good & {lifetime.firing for mine in lifetimes.values() for lifetime in mine})
    audit.forgotten = len(good) - audit.replayed
    _exempt(audit, "firings", found)


def _check_scores(
    audit: ChurnAudit,
    records: ScoreRecords,
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay | None,
    rules: ChurnAlertRules,
) -> list[Evidence]:
    """Compare every other chance that was told of; returns where a score was there in a silence."""
    stated = _chances_of_carts(audit, records.log, rules) + _chances_of_states(
        audit, records, sent_events, rules
    )
    found = verify(stated, sent_events, replay, rules)
    audit.unlike = audit.note("chances that the replay does not know", _names(stated, found))
    audit.scores = sum(v.finding is Finding.HOLDS for v in found)
    _exempt(audit, "scores", found)
    evidence = []
    for chance, seen in zip(stated, found, strict=True):
        at_ms, silence_ms = chance.moments[0]
        score, alert_state, _ = chance.predictions or NO_PREDICTIONS
        intent_ms = alert_state.session_start_ms if alert_state.of(CHURN_RISK).intent else 0
        evidence.append(
            Evidence(chance.user_id, at_ms, chance.purchase, seen.leave, score, intent_ms, silence_ms)
        )
    return evidence


def _chances_of_carts(audit: ChurnAudit, log: Iterable[Alert], rules: ChurnAlertRules) -> list[StatedChance]:
    stated = []
    for alert in log:
        if alert.kind == CART_ABANDONED and alert.state is AlertState.FIRING:
            chance = chance_in_alert(alert, rules)
            if chance is not None:
                stated.append(chance)
            else:
                audit.count_exempt(f"carts {NOT_SCORED}")
    return stated


def _chances_of_states(
    audit: ChurnAudit,
    records: ScoreRecords,
    sent_events: Mapping[str, Sequence[SentEvent]],
    rules: ChurnAlertRules,
) -> list[StatedChance]:
    stated, missing = [], []
    for user, mine in sent_events.items():
        last_ms = mine[-1].at_ms
        chance = chance_in_state(user, records.predictions.get(user, NO_PREDICTIONS), last_ms)
        if chance is not None:
            stated.append(chance)
            continue
        audit.count_exempt(f"visitors {NOT_SCORED}")
        if is_in_time(mine, rules.idle_ms + rules.disorder_ms):
            missing.append(user)  # nothing came after the session's end, when nobody is scored
    if records.counters is not None and len(missing) > records.counters["skipped"]:
        more = f"visitors without a score, while {records.counters['skipped']} were skipped"
        audit.unlike += audit.note(more, missing)
    return stated


def _check_required(
    audit: ChurnAudit,
    evidence: Iterable[Evidence],
    sent_events: Mapping[str, Sequence[SentEvent]],
    lifetimes: Mapping[str, Sequence[AlertLifetime]],
    rules: ChurnAlertRules,
) -> None:
    needs: dict[tuple[str, int], Need] = {}
    for one in evidence:
        place = (one.user_id, one.at_ms)
        if needs.get(place, Need.NONE) in (Need.NONE, Need.UNKNOWN):
            needs[place] = need_at(one, sent_events[one.user_id], lifetimes.get(one.user_id, ()), rules)
    lost = [f"{user} after {at_ms}" for (user, at_ms), need in needs.items() if need is Need.LOST]
    counts = Counter(needs.values())
    audit.required = counts[Need.THERE] + counts[Need.LOST]
    audit.lost = audit.note("churn alerts that must be there are not", lost)
    audit.count_exempt(f"silences that {Need.UNKNOWN}", counts[Need.UNKNOWN])


def _names(stated: Sequence[StatedChance], found: Sequence[Verified]) -> list[str]:
    pairs = zip(stated, found, strict=True)
    return [f"{t.name} at {t.purchase}: {v.why}" for t, v in pairs if v.finding is Finding.CANNOT_BE]


def _exempt(audit: ChurnAudit, what: str, found: Iterable[Verified]) -> None:
    for one in found:
        if one.finding not in (Finding.HOLDS, Finding.CANNOT_BE):
            audit.count_exempt(f"{what} {one.finding}")


def _is_churn(alert: Alert) -> bool:
    return alert.kind == CHURN_RISK


def _order(alert: Alert) -> tuple[str, int, int]:
    return alert.subject.id, alert.fired_ms, alert.episode
