"""Churn alerts against a replay that scores visitors anew: none invented, none of those that must be lost."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from contracts.alerts import Alert, AlertKind, AlertState
from contracts.predictions import NO_PREDICTIONS, Predictions
from ops.audit.abandoned import FETCH_MS, FOREVER_MS, SentEvent
from ops.audit.churn import ChurnRules
from ops.audit.churn_preconditions import lacks_grounds
from ops.audit.churn_required import Evidence, Life, Need, need_at
from ops.audit.scores import ScoreReplay
from ops.audit.stated_chances import Finding, Told, Verified, told_by_alert, told_by_state, verify

NOT_SCORED = "with no score of the last action"
"""Skipped, or the next action was in the same batch."""


@dataclass(slots=True)
class ChurnVerdict:
    """What became of `churn_risk`. `fired` are distinct firings in the log of alerts.

    `replayed` of them were found at a state of the visitor that the replay scores alike; `forgotten` are such
    that are in the topic only, from before Redis lost them; `invented` were found at no state. `required`
    must be there whatever the batches were, and `lost` of these are not. `scores` are chances in visitors'
    states and abandoned carts that the replay finds alike, `unlike` those it does not. `scored` and `skipped`
    are the visitors of all batches in Redis by whether the model answered. `exempt` counts, by reason,
    firings and chances that cannot be checked.
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
    exempt: dict[str, int] = field(default_factory=dict)
    wrong: dict[str, list[str]] = field(default_factory=dict)
    """Names of what is wrong, by what it is."""

    def excuse(self, reason: str, number: int = 1) -> None:
        """Count what cannot be checked."""
        if number:
            self.exempt[reason] = self.exempt.get(reason, 0) + number

    def note(self, what: str, names: Sequence[str]) -> int:
        """Keep what is wrong; returns how many there are."""
        if names:
            self.wrong[what] = sorted(names)
        return len(names)


@dataclass(frozen=True, slots=True)
class Heard:
    """Everything that tells of scores: steps in the log, those in the topic that differ, visitors' states.

    `counters` are the stream's own; None: they are not known.
    """

    log: Sequence[Alert]
    topic: Sequence[Alert]
    outlooks: Mapping[str, Predictions]
    counters: Mapping[str, int] | None = None


def judge_churn(
    heard: Heard,
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay | None,
    rules: ChurnRules,
) -> ChurnVerdict:
    """The verdict; without a replay no chance is checked, but what follows from those told of still is."""
    verdict = ChurnVerdict()
    lives = lives_of(heard.log)
    verdict.fired = sum(map(len, lives.values()))
    firings = {life.firing for mine in lives.values() for life in mine}
    firings |= {alert for alert in heard.topic if _is_churn(alert) and alert.state is AlertState.FIRING}
    _check_firings(verdict, sorted(firings, key=_order), lives, sent_events, replay, rules)
    evidence = _check_scores(verdict, heard, sent_events, replay, rules)
    _check_required(verdict, evidence, sent_events, lives, rules)
    if heard.counters is not None:
        verdict.scored, verdict.skipped = heard.counters["scored"], heard.counters["skipped"]
    return verdict


def lives_of(log: Iterable[Alert]) -> dict[str, list[Life]]:
    """The churn alerts of each visitor in the order of their firing; one that never ended ends never."""
    steps = [alert for alert in log if _is_churn(alert)]
    ends = {alert.alert_id: alert.at_ms for alert in steps if alert.state is not AlertState.FIRING}
    lives: dict[str, list[Life]] = defaultdict(list)
    for alert in sorted(steps, key=_order):
        if alert.state is AlertState.FIRING:
            lives[alert.user_id].append(Life(alert, ends.get(alert.alert_id, FOREVER_MS)))
    return lives


def _check_firings(
    verdict: ChurnVerdict,
    firings: Sequence[Alert],
    lives: Mapping[str, Sequence[Life]],
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay | None,
    rules: ChurnRules,
) -> None:
    told: list[Told] = []
    wrong = []
    for alert in firings:
        chance = told_by_alert(alert, rules)
        if chance is None or alert.threshold != rules.fire or chance.purchase >= rules.fire:
            wrong.append(f"{alert.record_id} at {alert.purchase} under {alert.threshold}")
        else:
            told.append(chance)
    found = verify(told, sent_events, replay, rules)
    groundless = lacks_grounds(
        [t.alert for t, v in zip(told, found, strict=True) if v.finding is Finding.HOLDS and t.alert],
        lives, sent_events, replay, rules,
    )  # fmt: skip
    wrong += [f"{alert.record_id}: {why}" for alert, why in groundless]
    wrong += _names(told, found)
    verdict.invented = verdict.note("churn alerts that the replay does not know", wrong)
    bad = {alert for alert, _ in groundless}
    good = {t.alert for t, v in zip(told, found, strict=True) if v.finding is Finding.HOLDS} - bad
    verdict.replayed = len(good & {life.firing for mine in lives.values() for life in mine})
    verdict.forgotten = len(good) - verdict.replayed
    _exempt(verdict, "firings", found)


def _check_scores(
    verdict: ChurnVerdict,
    heard: Heard,
    sent_events: Mapping[str, Sequence[SentEvent]],
    replay: ScoreReplay | None,
    rules: ChurnRules,
) -> list[Evidence]:
    """Compare every other chance that was told of; returns where a score was there in a silence."""
    told = _told_of_carts(verdict, heard.log, rules) + _told_of_states(verdict, heard, sent_events, rules)
    found = verify(told, sent_events, replay, rules)
    verdict.unlike = verdict.note("chances that the replay does not know", _names(told, found))
    verdict.scores = sum(v.finding is Finding.HOLDS for v in found)
    _exempt(verdict, "scores", found)
    evidence = []
    for chance, seen in zip(told, found, strict=True):
        ((at_ms, _),) = chance.moments
        score, alert_state, _ = chance.predictions or NO_PREDICTIONS
        intent_ms = alert_state.session_start_ms if alert_state.intent else 0
        evidence.append(Evidence(chance.user_id, at_ms, chance.purchase, seen.leave, score, intent_ms))
    return evidence


def _told_of_carts(verdict: ChurnVerdict, log: Iterable[Alert], rules: ChurnRules) -> list[Told]:
    told = []
    for alert in log:
        if alert.kind is AlertKind.CART_ABANDONED and alert.state is AlertState.FIRING:
            chance = told_by_alert(alert, rules)
            if chance is not None:
                told.append(chance)
            else:
                verdict.excuse(f"carts {NOT_SCORED}")
    return told


def _told_of_states(
    verdict: ChurnVerdict, heard: Heard, sent_events: Mapping[str, Sequence[SentEvent]], rules: ChurnRules
) -> list[Told]:
    told, missing = [], []
    for user, mine in sent_events.items():
        last_ms = mine[-1].at_ms
        chance = told_by_state(user, heard.outlooks.get(user, NO_PREDICTIONS), last_ms)
        if chance is not None:
            told.append(chance)
            continue
        verdict.excuse(f"visitors {NOT_SCORED}")
        if (
            max(sent_event.arrived_ms for sent_event in mine) + FETCH_MS
            <= last_ms + rules.idle_ms + rules.disorder_ms
        ):
            missing.append(user)  # nothing came after the session's end, when nobody is scored
    if heard.counters is not None and len(missing) > heard.counters["skipped"]:
        more = f"visitors without a score, while {heard.counters['skipped']} were skipped"
        verdict.unlike += verdict.note(more, missing)
    return told


def _check_required(
    verdict: ChurnVerdict,
    evidence: Iterable[Evidence],
    sent_events: Mapping[str, Sequence[SentEvent]],
    lives: Mapping[str, Sequence[Life]],
    rules: ChurnRules,
) -> None:
    needs: dict[tuple[str, int], Need] = {}
    for one in evidence:
        place = (one.user_id, one.at_ms)
        if needs.get(place, Need.NONE) in (Need.NONE, Need.UNKNOWN):
            needs[place] = need_at(one, sent_events[one.user_id], lives.get(one.user_id, ()), rules)
    lost = [f"{user} after {at_ms}" for (user, at_ms), need in needs.items() if need is Need.LOST]
    counts = Counter(needs.values())
    verdict.required = counts[Need.THERE] + counts[Need.LOST]
    verdict.lost = verdict.note("churn alerts that must be there are not", lost)
    verdict.excuse(f"silences that {Need.UNKNOWN}", counts[Need.UNKNOWN])


def _names(told: Sequence[Told], found: Sequence[Verified]) -> list[str]:
    pairs = zip(told, found, strict=True)
    return [f"{t.name} at {t.purchase}" for t, v in pairs if v.finding is Finding.CANNOT_BE]


def _exempt(verdict: ChurnVerdict, what: str, found: Iterable[Verified]) -> None:
    for one in found:
        if one.finding not in (Finding.HOLDS, Finding.CANNOT_BE):
            verdict.excuse(f"{what} {one.finding}")


def _is_churn(alert: Alert) -> bool:
    return alert.kind is AlertKind.CHURN_RISK


def _order(alert: Alert) -> tuple[str, int, int]:
    return alert.user_id, alert.fired_ms, alert.episode
