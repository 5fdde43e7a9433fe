"""What there is enough data for: to train a model and to judge it, and which figures of live quality to tell.

Figures that there is too little for are withheld: null, each with the reason. A prediction about a visitor
who buys is judged at once, one about a visitor who leaves only when the session has ended; an alert is
resolved by a purchase at once and expires much later. So the figures of what has just begun say too much of
the quick answers, and are wrong rather than rough.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from models.quality import AlertFigures, NextActionFigures, PurchaseFigures
from models.slot_quality import SlotFigures

MIN_JUDGED = 100
"""Predictions below which shares and errors are noise."""
MIN_ENDED = 20
"""The same of alerts, and of sessions with a cart."""

FEWEST_SESSIONS = 50
"""Sessions that are over in each part of a split, below which no model is trained or measured."""
FEWEST_BUYING = 5
"""The same of sessions with a purchase to come."""

Missing = dict[str, str]
"""Names of the figures that are withheld, each with the reason in words."""
Figures = TypeVar("Figures", NextActionFigures, PurchaseFigures, SlotFigures)
_SHARES = ("accuracy", "macro_f1", "rate", "mean_loss", "log_loss", "brier", "ece")


class NotEnoughData(ValueError):
    """There is too little to train or to measure on; the message says what is needed and what there is."""


def require_data(part: str, *, sessions: int, buying: int) -> None:
    """Raises `NotEnoughData` where a part of a split has too few sessions to say anything."""
    for has, needs, noun in (
        (sessions, FEWEST_SESSIONS, "sessions that are over"),
        (buying, FEWEST_BUYING, "sessions with a purchase"),
    ):
        if has < needs:
            raise NotEnoughData(f"not enough data yet in the {part} part (needs {needs} {noun}, has {has})")


class Cohort(NamedTuple):
    """Alerts of a kind that fired in one window old enough that all have had their time, and their ends.

    `span` names that window in words.
    """

    fired: int
    resolved: int
    expired: int
    span: str


def withhold_early(figures: Figures, too_early: str) -> tuple[Figures, Missing]:
    """The figures of predictions, those withheld that there is too little data for.

    `too_early` says why the window is not to be judged yet; empty if it may be.
    """
    reason = too_early or _too_few(figures.n, MIN_JUDGED, "judged predictions")
    if not reason:
        return figures, {}
    names = [name for name in _SHARES if hasattr(figures, name)]
    nothing: dict[str, Any] = dict.fromkeys(names)
    if not isinstance(figures, SlotFigures):
        nothing["reliability"] = ()
    return replace(figures, **nothing), dict.fromkeys(names, reason)


def judge_alerts(
    figures: AlertFigures, cohort: Cohort, *, lost: int, carts: int
) -> tuple[AlertFigures, Missing]:
    """The figures of alerts of a kind, with the precision of a cohort that has ended.

    `lost` sessions of `carts` with something in the cart ended without a purchase in the window.
    """
    reasons = {
        "precision": _unfinished(cohort),
        "wait_mean_s": _unfinished(cohort),
        "recall": _too_few(lost, MIN_ENDED, "lost carts"),
        "base_rate": _too_few(carts, MIN_ENDED, "sessions with a cart"),
    }
    missing = {name: reason for name, reason in reasons.items() if reason}
    ended = cohort.resolved + cohort.expired
    nothing: dict[str, Any] = dict.fromkeys(missing)
    known = replace(figures, precision=cohort.expired / ended if ended else None)
    return replace(known, **nothing), missing


def no_end_judges(figures: AlertFigures, names: Iterable[str]) -> Missing:
    """Of a kind whose end does not say whether an alert was right: why these figures are null."""
    reason = "the end of an alert of this kind does not say whether it was right"
    return {name: reason for name in names if getattr(figures, name) is None}


def _unfinished(cohort: Cohort) -> str:
    ended = cohort.resolved + cohort.expired
    if not cohort.fired:
        return f"no alert fired {cohort.span}; newer ones may still be resolved"
    if ended < cohort.fired:
        return f"{cohort.fired - ended} of {cohort.fired} alerts that fired {cohort.span} have not ended"
    return _too_few(ended, MIN_ENDED, f"alerts that fired {cohort.span}")


def _too_few(number: int, least: int, noun: str) -> str:
    return "" if number >= least else f"too little data: {number} of at least {least} {noun}"
