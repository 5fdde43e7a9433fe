"""How good live predictions and alerts were: names of the counters, and figures from their sums.

Counters are whole numbers that only add, so sums over minutes and partitions are exact in any order.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from contracts.alerts import FLAT_KINDS, AlertState, find_kind
from contracts.scores import SCALE
from models.next_action.actions import TARGETS

BINS = 10
"""Calibration bins of equal width."""
MICRO = 1_000_000
"""Losses and squared errors are counted in millionths."""
LEAD_EDGES_S = (60, 120, 180, 300, 600, 900, 1_200, 1_800, 3_600)
"""Inner borders of the lead-time histogram; the last bin is open."""
NO_MODEL = "-"
"""Version of alerts and sessions that no model had a part in."""


class Quality:
    """Names of the counters. In a bucket a field is `<name>:<model version>`."""

    CONFUSION = "x"
    """Followed by predicted and actual class: `x04`. Next actions judged."""
    LOSS = "l"
    """Log loss of next actions, in millionths."""
    CONFIDENCE = "k"
    """Bins of the probability of the predicted next action: `kn3` predictions, `kp3` their probabilities in
    1/SCALE, `ky3` how many were right."""
    PURCHASE = "b"
    """The same bins of the purchase probability: `bn3`, `bp3`, and `by3`: how many bought."""
    PURCHASE_LOSS = "pl"
    PURCHASE_BRIER = "pb"

    # Alerts; followed by a dot and the name of the kind (`of_kind`): `f.churn_risk`.
    FIRED = "f"
    RESOLVED = "r"
    EXPIRED = "e"
    WAIT_MS = "w"
    """From firing to the purchase, summed over the resolved."""
    LEAD_MS = "t"
    """From firing to the end of the alert, summed over the expired."""
    LEAD = "h"
    """The same as a histogram over `LEAD_EDGES_S`: `h.churn_risk.4`."""
    COHORT_RESOLVED = "cr"
    COHORT_EXPIRED = "ce"
    """The resolved and the expired once more, in the minute in which the alert fired: of all that fired
    then, how many have ended how."""

    WITHHELD = "wh"
    """Followed by the kind, a dot and the reason (`stream.alerts.gate`): moments at which a rule wanted an
    alert and did not get it."""
    # Of counted alerts whose day is over, by arm (`models.uplift`), in the minute in which they fired.
    WATCHED = "wn"
    WATCHED_BOUGHT = "wb"
    WATCHED_REVENUE = "wr"
    """In minor units of the shop's currency."""
    WATCHED_SQUARES = "ws"
    """Squares of the revenue in whole units of 100 minor."""

    # Verdicts of people about alerts, in buckets of their own; followed by the kind likewise.
    USEFUL = "u"
    WRONG = "n"

    # Sessions that put something into the cart, at their end.
    LOST = "sl"
    BOUGHT = "sb"
    LOST_ALERTED = "sa"
    """Followed by the kind likewise: lost, and an alert of this kind had fired in the session."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of a reliability curve: `n` predictions of `predicted` on average, `observed` came true."""

    n: int
    predicted: float
    observed: float


@dataclass(frozen=True, slots=True)
class NextActionFigures:
    """Of next-action predictions; None where nothing was judged. `ece` is of the predicted class."""

    n: int
    accuracy: float | None
    macro_f1: float | None
    log_loss: float | None
    ece: float | None
    reliability: tuple[Point, ...]
    predicted: dict[str, int]
    actual: dict[str, int]


@dataclass(frozen=True, slots=True)
class PurchaseFigures:
    """Of the probability of a purchase later in the session; `rate` is the share that bought."""

    n: int
    rate: float | None
    log_loss: float | None
    brier: float | None
    ece: float | None
    reliability: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class AlertFigures:
    """Of alerts of one kind. An alert was right if it expired: the visitor did not buy.

    `recall` is the share of the sessions lost with a cart that had an alert, `base_rate` the share of lost
    ones among the sessions with a cart: the precision of alerting on all of them. The lead is the time from
    firing to the end of an alert that was right, `wait_mean_s` from firing to the purchase. `useful` and
    `wrong` are what people said of alerts, `judged_precision` is the share of `useful` among them.
    `bought_later` is the share of visitors who bought within a day of their first alert (`alert_watch_ms`),
    `withheld` says how often a rule wanted an alert and did not get it, by reason (`stream.alerts.gate`).
    """

    fired: int
    resolved: int
    expired: int
    precision: float | None
    recall: float | None
    base_rate: float | None
    lead_mean_s: float | None
    lead_p10_s: float | None
    lead_p50_s: float | None
    lead_p90_s: float | None
    wait_mean_s: float | None
    useful: int
    wrong: int
    judged_precision: float | None
    bought_later: float | None
    withheld: dict[str, int]


def add_up(buckets: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The sum of buckets, of minutes of a window and of partitions alike."""
    total: dict[str, int] = {}
    for fields in buckets:
        for name, count in fields.items():
            total[name] = total.get(name, 0) + count
    return total


def by_version(fields: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Fields of a bucket per model version, their names without it."""
    versions: dict[str, dict[str, int]] = {}
    for field, count in fields.items():
        name, _, version = field.partition(":")
        versions.setdefault(version, {})[name] = count
    return versions


def next_action_figures(counts: Mapping[str, int]) -> NextActionFigures:
    """Figures from the counters of one version (or the sum of several)."""
    classes = range(len(TARGETS))
    cells = [[counts.get(f"{Quality.CONFUSION}{p}{a}", 0) for a in classes] for p in classes]
    predicted = [sum(row) for row in cells]
    actual = [sum(column) for column in zip(*cells, strict=True)]
    n = sum(predicted)
    scores = [2 * cells[c][c] / (predicted[c] + actual[c]) for c in classes if actual[c]]
    points = _points(counts, Quality.CONFIDENCE)
    return NextActionFigures(
        n,
        _ratio(sum(cells[c][c] for c in classes), n),
        _ratio(sum(scores), len(scores)),
        _ratio(counts.get(Quality.LOSS, 0) / MICRO, n),
        _ece(points),
        points,
        dict(zip(TARGETS, predicted, strict=True)),
        dict(zip(TARGETS, actual, strict=True)),
    )


def purchase_figures(counts: Mapping[str, int]) -> PurchaseFigures:
    """Figures from the counters of one version (or the sum of several)."""
    points = _points(counts, Quality.PURCHASE)
    n = sum(point.n for point in points)
    bought = sum(counts.get(f"{Quality.PURCHASE}y{b}", 0) for b in range(BINS))
    return PurchaseFigures(
        n,
        _ratio(bought, n),
        _ratio(counts.get(Quality.PURCHASE_LOSS, 0) / MICRO, n),
        _ratio(counts.get(Quality.PURCHASE_BRIER, 0) / MICRO, n),
        _ece(points),
        points,
    )


def alert_figures(counts: Mapping[str, int], kind: str) -> AlertFigures:
    """Figures from the counters of one version (or the sum of several).

    Only of kinds whose end says whether an alert was right there are precision, recall and base rate.
    """
    fired, resolved, expired = (
        _of_kind(counts, name, kind) for name in (Quality.FIRED, Quality.RESOLVED, Quality.EXPIRED)
    )
    spec = find_kind(kind)
    is_judged = spec is not None and spec.judged_by_end
    lost, bought = counts.get(Quality.LOST, 0), counts.get(Quality.BOUGHT, 0)
    useful, wrong = _of_kind(counts, Quality.USEFUL, kind), _of_kind(counts, Quality.WRONG, kind)
    leads = [_of_kind(counts, Quality.LEAD, kind, f".{b}") for b in range(len(LEAD_EDGES_S) + 1)]
    return AlertFigures(
        fired,
        resolved,
        expired,
        _ratio(expired, expired + resolved) if is_judged else None,
        _ratio(_of_kind(counts, Quality.LOST_ALERTED, kind), lost) if is_judged else None,
        _ratio(lost, lost + bought) if is_judged else None,
        _ratio(_of_kind(counts, Quality.LEAD_MS, kind) / 1_000, expired),
        lead_percentile_s(leads, 0.1),
        lead_percentile_s(leads, 0.5),
        lead_percentile_s(leads, 0.9),
        _ratio(_of_kind(counts, Quality.WAIT_MS, kind) / 1_000, resolved),
        useful,
        wrong,
        _ratio(useful, useful + wrong),
        _ratio(_of_arms(counts, Quality.WATCHED_BOUGHT, kind), _of_arms(counts, Quality.WATCHED, kind)),
        _withheld(counts, kind),
    )


def _of_arms(counts: Mapping[str, int], name: str, kind: str) -> int:
    """A counter of the groups of the experiment, both together."""
    start = of_kind(name, kind) + "."
    return sum(count for field, count in counts.items() if field.startswith(start))


def _withheld(counts: Mapping[str, int], kind: str) -> dict[str, int]:
    start = of_kind(Quality.WITHHELD, kind) + "."
    found = {field[len(start) :]: count for field, count in counts.items() if field.startswith(start)}
    return dict(sorted(found.items()))


def cohort_counts(counts: Mapping[str, int], kind: str) -> tuple[int, int, int]:
    """Of the alerts of a kind that fired then: how many, and how many of these were resolved and expired."""
    fired = _of_kind(counts, Quality.FIRED, kind)
    resolved = counts.get(of_kind(Quality.COHORT_RESOLVED, kind), 0)
    return fired, resolved, counts.get(of_kind(Quality.COHORT_EXPIRED, kind), 0)


def of_kind(name: str, kind: str) -> str:
    """The name of a counter of alerts of a kind."""
    return f"{name}.{kind}"


def step_of(name: str) -> tuple[str, AlertState] | None:
    """The kind and the state whose steps a counter of this name counts; None for any other counter."""
    state = _STEPS.get(name[:1])
    if state is None or len(name) == 1:
        return None
    if name[1] == ".":
        return name[2:], state
    return (FLAT_KINDS[int(name[1:])], state) if name[1:] in _PLACES else None


_STEPS = {
    Quality.FIRED: AlertState.FIRING,
    Quality.RESOLVED: AlertState.RESOLVED,
    Quality.EXPIRED: AlertState.EXPIRED,
}
_PLACES = tuple(str(place) for place in range(len(FLAT_KINDS)))
"""What earlier versions wrote for the name of a kind and its dot: its place among those there were."""


def _of_kind(counts: Mapping[str, int], name: str, kind: str, suffix: str = "") -> int:
    """A counter of a kind, with what earlier versions counted under the kind's place."""
    total = counts.get(of_kind(name, kind) + suffix, 0)
    if kind in FLAT_KINDS:
        total += counts.get(f"{name}{_PLACES[FLAT_KINDS.index(kind)]}{suffix}", 0)
    return total


def lead_percentile_s(leads: Sequence[int], share: float) -> float | None:
    """The lead that `share` of the histogram stays under, on straight lines within its bins.

    None if it is empty; beyond the last border of `LEAD_EDGES_S` the answer is that border.
    """
    wanted = share * sum(leads)
    if not wanted:
        return None
    low_s, below = 0, 0
    for count, high_s in zip(leads, LEAD_EDGES_S, strict=False):
        if count and below + count >= wanted:
            return low_s + (high_s - low_s) * (wanted - below) / count
        low_s, below = high_s, below + count
    return float(LEAD_EDGES_S[-1])


def bin_of(parts: int) -> int:
    """The calibration bin of a probability in 1/SCALE."""
    return min(BINS - 1, parts * BINS // SCALE)


def lead_bin(lead_ms: int) -> int:
    """The bin of a lead time in the histogram."""
    return sum(lead_ms >= edge_s * 1_000 for edge_s in LEAD_EDGES_S)


def _points(counts: Mapping[str, int], family: str) -> tuple[Point, ...]:
    points = []
    for b in range(BINS):
        n = counts.get(f"{family}n{b}", 0)
        if n:
            predicted = counts.get(f"{family}p{b}", 0) / SCALE / n
            points.append(Point(n, predicted, counts.get(f"{family}y{b}", 0) / n))
    return tuple(points)


def _ece(points: Sequence[Point]) -> float | None:
    """Expected calibration error: mean distance of predicted and observed, weighted by predictions."""
    gaps = sum(point.n * abs(point.predicted - point.observed) for point in points)
    return _ratio(gaps, sum(point.n for point in points))


def _ratio(part: float, whole: int) -> float | None:
    return part / whole if whole else None
