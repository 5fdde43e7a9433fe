"""The pure steps of attribution: what a visitor does after an exposure, and what is counted of it.

A view, cart or purchase belongs to the newest exposure before it that had the product, if to any.
"""

from collections.abc import Iterable, Sequence

from contracts.buckets import bucket_start
from contracts.carts import CART, PURCHASE
from contracts.events import EventType
from contracts.exposures import (
    BOUGHT,
    CARTED,
    CLICK_MS,
    CLICKED,
    FOLLOW_MS,
    MAX_KEPT,
    ExposedGroup,
    Exposure,
    KeptExposure,
    VisitorExposures,
)
from contracts.numbers import MAX_SUM_MINOR
from contracts.visitor import Action, Visitor
from models.exposures import ExposureMetric, exposure_counter
from models.uplift import SQUARES_OF_MINOR
from stream.batch.counts import BucketCounts, grow

MAX_GROUPS = 20
"""Scenarios and arms of one visitor at once; those that began longest ago are dropped first."""
_VIEW = EventType.VIEW.rank
_RULES = {
    _VIEW: (CLICKED, CLICK_MS, ExposureMetric.CLICKS),
    CART: (CARTED, FOLLOW_MS, ExposureMetric.CARTS),
    PURCHASE: (BOUGHT, FOLLOW_MS, ExposureMetric.PURCHASES),
}
"""Rank of an action to its bit, how old an exposure may be, and the counter."""


def add_exposure(
    known: VisitorExposures | None, exposure: Exposure, hours: BucketCounts
) -> VisitorExposures | None:
    """What is kept after an exposure, which is counted; the same object for one that is there already."""
    before = known or VisitorExposures()
    if any(each.rec_id == exposure.rec_id for each in before.exposures):
        return known
    rec_id, _, at_ms, scenario, arm, _, ids = exposure
    _count(hours, at_ms, ExposureMetric.EXPOSURES, scenario, arm, 1)
    _count(hours, at_ms, ExposureMetric.ITEMS, scenario, arm, len(ids))
    kept = KeptExposure(rec_id, at_ms, scenario, arm, ids, (0,) * len(ids))
    exposures = sorted((kept, *before.exposures), key=lambda one: (one.at_ms, one.rec_id), reverse=True)
    return VisitorExposures(
        tuple(exposures[:MAX_KEPT]), _add_to_group(before.groups, at_ms, scenario, arm, hours)
    )


def _add_to_group(
    groups: tuple[ExposedGroup, ...], at_ms: int, scenario: str, arm: str, hours: BucketCounts
) -> tuple[ExposedGroup, ...]:
    known = next((one for one in groups if (one.scenario, one.arm) == (scenario, arm)), None)
    if known is not None and at_ms < known.start_ms + FOLLOW_MS:
        return groups
    _count(hours, at_ms, ExposureMetric.VISITORS, scenario, arm, 1)
    others = [one for one in groups if one is not known]
    return (*others, ExposedGroup(scenario, arm, at_ms))[-MAX_GROUPS:]


def new_actions(before: Visitor | None, after: Visitor) -> list[Action]:
    """Actions of the tail that were not in the one before, oldest first."""
    if before is None:
        return after.tail.actions()
    known, tail = before.tail, after.tail
    if tail.packed == known.packed:
        return []
    old = {action[:3] for action in known.actions()}
    return [action for action in tail.actions() if action[:3] not in old]


def attribute(
    known: VisitorExposures, actions: Iterable[Action], currency: str, hours: BucketCounts
) -> VisitorExposures:
    """What is kept after actions, which are counted; the same object if none follows from an exposure."""
    exposures, groups = list(known.exposures), known.groups
    for action in actions:
        if action.rank == PURCHASE:
            groups = _add_purchase(groups, action, currency, hours)
        rule = _RULES.get(action.rank)
        if rule is not None and action.product_id:
            bit, most_ms, metric = rule
            number = _find(exposures, action, most_ms)
            if number is not None:
                exposures[number] = _mark(exposures[number], action, bit, metric, hours)
    after = VisitorExposures(tuple(exposures), groups)
    return known if after == known else after


def _find(exposures: Sequence[KeptExposure], action: Action, most_ms: int) -> int | None:
    for number, each in enumerate(exposures):
        if 0 <= action.at_ms - each.at_ms <= most_ms and action.product_id in each.product_ids:
            return number
    return None


def _mark(exposure: KeptExposure, action: Action, bit: int, metric: str, hours: BucketCounts) -> KeptExposure:
    _, at_ms, scenario, arm, ids, marks = exposure
    if action.rank == PURCHASE:
        _count(hours, at_ms, ExposureMetric.UNITS, scenario, arm, action.quantity)
        if action.price_minor is not None and action.currency is not None:
            name = ExposureMetric.REVENUE + action.currency
            _count(hours, at_ms, name, scenario, arm, action.price_minor * action.quantity)
    place = ids.index(action.product_id)
    if marks[place] & bit:
        return exposure
    _count(hours, at_ms, metric, scenario, arm, 1)
    return exposure._replace(marks=(*marks[:place], marks[place] | bit, *marks[place + 1 :]))


def _add_purchase(
    groups: tuple[ExposedGroup, ...], action: Action, currency: str, hours: BucketCounts
) -> tuple[ExposedGroup, ...]:
    """Each group with the purchase, whatever was bought; squares grow so that they are those of the sums."""
    after = []
    for group in groups:
        scenario, arm, start_ms, has_bought, before_minor = group
        if not 0 <= action.at_ms - start_ms <= FOLLOW_MS:
            after.append(group)
            continue
        if not has_bought:
            _count(hours, start_ms, ExposureMetric.BUYERS, scenario, arm, 1)
        minor = before_minor
        if action.price_minor and action.currency == currency:
            minor = min(before_minor + action.price_minor * action.quantity, MAX_SUM_MINOR)
            squares = minor**2 // SQUARES_OF_MINOR**2 - before_minor**2 // SQUARES_OF_MINOR**2
            _count(hours, start_ms, ExposureMetric.VISITORS_REVENUE, scenario, arm, minor - before_minor)
            _count(hours, start_ms, ExposureMetric.SQUARES, scenario, arm, squares)
        after.append(ExposedGroup(scenario, arm, start_ms, True, minor))
    return tuple(after)


def _count(hours: BucketCounts, at_ms: int, metric: str, scenario: str, arm: str, number: int) -> None:
    if number:
        fields = hours.setdefault(bucket_start(at_ms, "hour"), {})
        grow(fields, exposure_counter(metric, scenario, arm), number)
