"""Budgets of alerts, the cap per visitor, the hold-out group, and what is bought in the day after."""

from typing import Any

import msgpack
import numpy as np
import pytest

from alerted_visitor import DAY_S, AlertedVisitor, at, make_rules
from contracts.alert_budgets import AlertBudget, parse_budgets
from contracts.alerts import CART_ABANDONED, CHURN_RISK, Alert, AlertState
from contracts.buckets import Metric
from contracts.predictions import Predictions
from contracts.visitor import pack_visitor, unpack_visitor
from contracts.visitor_alerts import pack_alerts, unpack_alerts
from models.alert_threshold import RANKS, chance_of_rank, rank_of_chance, rank_of_value
from models.quality import Quality, add_up, by_version
from models.uplift import Arm, arm_counter
from shoppers import SETTINGS, make_action
from stream.alerts.gate import Candidate, Gate, Withheld
from stream.alerts.hold_out import HoldOut
from stream.alerts.registry import AlertRules
from stream.batch.core import load_compiled
from stream.batch.entries import Clock
from stream.batch.result import BatchResult
from stream.components.alert_use import NAME, AlertUses, PartitionUse, pack_use, unpack_use
from stream.partitions.alert_gate import AlertGate

LOW = 0.05
HOUR_MS = 3_600_000


def rules_with(gate: Gate | None = None, **settings: Any) -> AlertRules:
    return AlertRules.of(SETTINGS.model_copy(update=settings), gate=gate)


def firings(alerted: AlertedVisitor) -> list[Alert]:
    return [alert for alert in alerted.alerts if alert.state is AlertState.FIRING]


class Shop:
    """A gate with the state of its partitions, and candidates that come to it."""

    def __init__(self, budgets: str, partitions: int = 1) -> None:
        self.gate = AlertGate(parse_budgets(budgets), partitions)
        self.states = {p: {NAME: PartitionUse()} for p in range(partitions)}
        self.fired: list[int] = []

    def batch(self, partition: int, at_ms: int, sessions: int, ranks: list[int]) -> list[bool]:
        """One batch with so many new sessions, and candidates of these ranks."""
        result = BatchResult(Clock(at_ms, at_ms))
        result.counts.add_shop(at_ms - at_ms % 60_000, Metric.SESSIONS, sessions)
        self.gate.begin(partition, self.states[partition], result)
        passed = [self.gate.ask(Candidate(CHURN_RISK, at_ms, rank)) for rank in ranks]
        result.prediction_results.take_from(self.gate)
        self.gate.conclude(partition, self.states[partition], result)
        change = result.changes.get(NAME)
        if change is not None:
            self.states[partition] = {NAME: change.state}
        self.fired += [at_ms] * sum(passed)
        return passed


@pytest.mark.parametrize("partitions", [1, 4])
@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
def test_a_share_of_sessions_is_kept_and_the_most_urgent_fire(share: float, partitions: int) -> None:
    random = np.random.default_rng(1)
    shop = Shop(f"{CHURN_RISK}={share * 100:g}%", partitions)
    sessions, fired_ranks, all_ranks = 0, [], []
    for minute in range(3 * 1_440):
        begun = int(random.poisson(4))
        ranks = [rank_of_chance(float(random.beta(8, 2))) for _ in range(int(random.binomial(begun, 0.4)))]
        passed = shop.batch(minute % partitions, at(60 * minute), begun, ranks)
        sessions += begun
        all_ranks += ranks
        fired_ranks += [rank for rank, fires in zip(ranks, passed, strict=True) if fires]
    assert len(fired_ranks) == pytest.approx(share * sessions, rel=0.1)
    best = np.sort(all_ranks)[-len(fired_ranks) :]
    assert np.mean(fired_ranks) > np.mean(all_ranks) + 0.8 * (np.mean(best) - np.mean(all_ranks))


def test_no_more_than_so_many_fire_in_an_hour_also_when_ten_times_as_many_are_wanted() -> None:
    random = np.random.default_rng(2)
    shop = Shop(f"{CHURN_RISK}=30/h")
    for minute in range(24 * 60):
        wanted = 50 if 600 <= minute < 780 else 5
        ranks = [rank_of_chance(float(chance)) for chance in random.beta(8, 2, size=wanted)]
        shop.batch(0, at(60 * minute), wanted, ranks)
    in_hours = np.bincount([(at_ms - at(0)) // HOUR_MS for at_ms in shop.fired], minlength=24)
    by_clock: dict[int, int] = {}
    for at_ms in shop.fired:
        by_clock[at_ms // HOUR_MS] = by_clock.get(at_ms // HOUR_MS, 0) + 1
    assert max(by_clock.values()) <= 30
    assert in_hours.mean() == pytest.approx(30, rel=0.15)


def test_what_was_used_outlives_a_restart_and_is_added_up_over_workers() -> None:
    shop = Shop(f"{CHURN_RISK}=10/h")
    for minute in range(30):
        shop.batch(0, at(60 * minute), 5, [RANKS])
    assert len(shop.fired) == 5  # spread over the hour
    packed = pack_use(shop.states[0][NAME].uses)
    (again,) = unpack_use(packed).values()
    (kept,) = shop.states[0][NAME].uses.values()
    assert again[1:] == kept[1:]
    assert again.risen == pytest.approx(kept.risen, abs=1e-4)
    other = Shop(f"{CHURN_RISK}=10/h", partitions=2)
    other.states[1] = {NAME: AlertUses().load({"alert_use": packed})}
    other.batch(1, at(1_741), 1, [])
    assert other.batch(0, at(1_742), 1, [RANKS]) == [False]


@pytest.mark.parametrize("packed", [b"", b"\xc1", msgpack.packb((2, {})), msgpack.packb((1, {"a": 1}))])
def test_what_cannot_be_read_is_counted_anew(packed: bytes) -> None:
    assert AlertUses().load({"alert_use": packed}) == PartitionUse()


def test_ranks_go_up_with_the_chance_and_the_value() -> None:
    chances = [rank_of_chance(chance) for chance in (0, 0.01, 0.3, 0.5, 0.9, 0.999, 1)]
    values = [rank_of_value(minor) for minor in (0, 1, 100, 5_000, 20_000, 2**53)]
    assert chances == sorted(chances)
    assert values == sorted(values)
    assert {rank_of_chance(0), rank_of_value(0)} == {1}
    assert {rank_of_chance(1), rank_of_value(2**53)} == {RANKS}
    assert chance_of_rank(rank_of_chance(0.8)) == pytest.approx(0.8, abs=0.03)


def test_budgets_are_read_and_what_is_wrong_is_named() -> None:
    assert parse_budgets("churn_risk=5%, cart_abandoned = 200/h,") == {
        CHURN_RISK: AlertBudget(share=0.05),
        CART_ABANDONED: AlertBudget(per_hour=200),
    }
    assert parse_budgets("") == {}
    for text, why in [("churn_risk=5", "'churn_risk=5' must be"), ("a=101%", "100%"), ("a=1%,a=2/h", "two")]:
        with pytest.raises(ValueError, match=why):
            parse_budgets(text)


def test_no_alert_rests_on_a_model_that_is_not_proven() -> None:
    gate = Gate()
    gate.is_proven = False
    alerted = AlertedVisitor(lambda _: LOW, rules_with(gate))
    alerted.act(make_action("cart", 0, "a"))
    assert firings(alerted) == []
    ((_, withheld),), _ = gate.take()
    assert withheld is Withheld.UNPROVEN
    alerted.pass_time(at(1_000))
    assert [alert.kind for alert in firings(alerted)] == [CART_ABANDONED]  # it needs no model
    gate.is_proven = True
    alerted.act(make_action("view", 1_001))
    assert [alert.kind for alert in firings(alerted)] == [CART_ABANDONED, CHURN_RISK]


def test_a_withheld_silence_is_over_and_is_not_asked_for_again() -> None:
    class Closed(Gate):
        def judge(self, candidate: Candidate) -> Withheld | None:
            return Withheld.BUDGET if candidate.kind == CART_ABANDONED else None

    alerted = AlertedVisitor(rules=rules_with(Closed()))
    alerted.act(make_action("cart", 0, "a"))
    assert alerted.pass_time(at(950)) == []
    alerted.alert_state = unpack_alerts(msgpack.unpackb(msgpack.packb(pack_alerts(alerted.alert_state))))
    assert alerted.next_ms == at(1_800)  # the session's end, and nothing before it
    assert alerted.act(make_action("view", 960)) == []


def test_a_visitor_has_only_so_many_alerts_of_all_kinds_within_a_day() -> None:
    alerted = AlertedVisitor(lambda _: LOW, make_rules(alerts_per_visitor=2, alert_cooldown_ms=0))
    for session in range(4):
        alerted.act(make_action("cart", session * 4_000, "a", name=f"c{session}"))
    assert len(firings(alerted)) == 2
    alerted.pass_time(at(2 * DAY_S))
    alerted.act(make_action("cart", 2 * DAY_S + 1, "a"))
    assert len(firings(alerted)) == 3


def test_a_hold_out_group_is_as_large_as_asked_and_always_the_same() -> None:
    group = HoldOut(0.2, "shop")
    held = [user for user in range(20_000) if group.holds(f"u{user}")]
    assert len(held) == pytest.approx(4_000, rel=0.05)
    assert all(group.holds(f"u{user}") for user in held)
    elsewhere = HoldOut(0.2, "another")
    assert len([user for user in held if elsewhere.holds(f"u{user}")]) == pytest.approx(800, rel=0.15)
    assert not HoldOut().holds("u1")


@pytest.mark.parametrize("is_held_out", [False, True])
def test_what_is_bought_within_a_day_counts_once_and_the_alert_of_who_is_held_out_is_not_published(
    is_held_out: bool,
) -> None:
    gate = Gate()
    share = 0.5
    salt = next(str(i) for i in range(99) if HoldOut(share, str(i)).holds("u1") is is_held_out)
    alerted = AlertedVisitor(lambda _: LOW, rules_with(gate, alert_hold_out=share, namespace=salt))
    alerted.act(make_action("cart", 0, "a"))
    (alert,) = firings(alerted)
    assert alert.live is not is_held_out
    alerted.act(make_action("purchase", 5_000, "a", quantity=2, price=300))
    alerted.act(make_action("purchase", 9_000, "b", price=50))
    assert alerted.visitor is not None
    predictions = Predictions(None, alerted.alert_state)
    known = alerted.visitor._replace(predictions=predictions)
    assert unpack_visitor(pack_visitor(known)) == known
    assert [*load_compiled().pack_visitors([known])] == [pack_visitor(known)]
    alerted.pass_time(at(DAY_S - 1))
    assert gate.take()[1] == []
    alerted.pass_time(at(DAY_S + 1_900))
    (ended,) = [each for each in gate.take()[1] if each.kind == CHURN_RISK]
    assert (ended.purchases, ended.revenue_minor, ended.is_held_out) == (2, 650, is_held_out)
    assert ended.is_counted
    alerted.act(make_action("cart", 2 * DAY_S, "c"))
    alerted.pass_time(at(4 * DAY_S))
    assert not any(each.is_counted for each in gate.take()[1] if each.kind == CHURN_RISK)


def test_counters_of_the_groups_and_of_what_was_withheld_are_by_kind() -> None:
    result = BatchResult(Clock(at(0), at(0))).prediction_results
    gate = Gate()
    gate.refuse(Candidate(CHURN_RISK, at(0), 5), Withheld.VISITOR)
    alerted = AlertedVisitor(lambda _: LOW, rules_with(gate))
    alerted.act(make_action("cart", 0, "a"))
    alerted.act(make_action("purchase", 10, "a", price=1_234))
    alerted.pass_time(at(2 * DAY_S))
    result.take_from(gate)
    total = add_up(by_version(add_up(result.tally.minutes.values())).values())
    assert total[f"{Quality.WITHHELD}.{CHURN_RISK}.visitor"] == 1
    assert total[arm_counter(Quality.WATCHED, CHURN_RISK, Arm.TOLD)] == 1
    assert total[arm_counter(Quality.WATCHED_BOUGHT, CHURN_RISK, Arm.TOLD)] == 1
    assert total[arm_counter(Quality.WATCHED_REVENUE, CHURN_RISK, Arm.TOLD)] == 1_234
    assert total[arm_counter(Quality.WATCHED_SQUARES, CHURN_RISK, Arm.TOLD)] == 144


def test_the_rank_before_is_that_of_the_score_before_if_the_cart_was_filled_by_then() -> None:
    gate = Gate()
    alerted = AlertedVisitor(lambda _: 0.1, rules_with(gate, churn_fire=0.15))
    alerted.act(make_action("view", 0))
    alerted.act(make_action("cart", 10, "a"))
    decided = gate.take()[0]
    assert [each.candidate.before for each in decided] == [0]
    assert decided[0].candidate.rank == rank_of_chance(0.9)
